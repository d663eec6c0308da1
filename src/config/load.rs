//! From a file or a text to a valid [`Config`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Problem, Report};
use super::{Config, read};
use crate::profile::Profile;
use crate::profile::library::Library;

/// A config is written by people: what is larger is something else.
const LARGEST: u64 = 1 << 20;

/// All known profiles, by id.
pub type Profiles = BTreeMap<Arc<str>, Arc<Profile>>;

type Open = dyn Fn(Option<&Path>) -> Result<Profiles, Vec<String>> + Send + Sync;

/// Opens the profiles: the built-in ones and those of a folder.
#[derive(Clone)]
pub struct ProfileSource(Arc<Open>);

impl ProfileSource {
    /// By a function. It gets the folder of the site's own profiles and answers with all that is wrong in it, rendered.
    pub fn new(open: impl Fn(Option<&Path>) -> Result<Profiles, Vec<String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }

    /// Opens them.
    ///
    /// # Errors
    /// All that is wrong with the folder and its files.
    pub fn open(&self, folder: Option<&Path>) -> Result<Profiles, Vec<String>> {
        (self.0)(folder)
    }
}

impl Default for ProfileSource {
    /// The built-in profiles and those of the folder.
    fn default() -> Self {
        Self::new(|folder| {
            let library = folder.map_or_else(|| Ok(Library::builtin()), Library::with_folder)?;
            Ok(library.ids().filter_map(|id| Some((Arc::from(id), library.get(id)?))).collect())
        })
    }
}

impl fmt::Debug for ProfileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProfileSource")
    }
}

/// What the config may look at besides its own text: asked once, so that reading a config has no other side effect.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Folder of the config file; relative files are looked up here.
    pub folder: PathBuf,
    /// systemd's `CREDENTIALS_DIRECTORY`: secret files are looked up here first.
    pub credentials: Option<PathBuf>,
    /// Where secret files are looked up last, as `wattkeeper.NAME`: the store that the unit hands them out of, so that
    /// `check` in an administrator's shell finds what the service will be given.
    pub store: Option<PathBuf>,
    /// systemd's `STATE_DIRECTORY`.
    pub state: Option<PathBuf>,
    /// The device profiles.
    pub profiles: ProfileSource,
}

impl Surroundings {
    /// As the process finds them for the config at `path`.
    pub fn of(path: &Path) -> Self {
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self {
            folder,
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            store: Some(PathBuf::from("/etc/credstore")),
            // systemd separates several folders by colons.
            state: std::env::var("STATE_DIRECTORY").ok().and_then(|dirs| Some(dirs.split(':').next()?.into())),
            profiles: ProfileSource::default(),
        }
    }
}

/// All that is wrong with a config, and what is merely odd, rendered for people.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// Errors, rendered with place, excerpt and what to write instead.
    pub errors: Vec<String>,
    /// Warnings, likewise.
    pub warnings: Vec<String>,
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in self.errors.iter().chain(&self.warnings) {
            writeln!(f, "{text}")?;
        }
        Ok(())
    }
}

/// Reads and validates a config file.
///
/// # Errors
/// All that is wrong with it.
pub fn load(path: &Path) -> Result<(Config, Diagnostics), Diagnostics> {
    let name = path.display().to_string();
    match text_of(path) {
        Ok(text) => parse(&text, &name, &Surroundings::of(path)),
        Err(error) => Err(Diagnostics { errors: vec![format!("error: {name}: {error}")], warnings: Vec::new() }),
    }
}

/// Where the daemon of this config keeps its state. Needs no valid config, and none of its secrets: whoever asks the
/// running daemon may be in the middle of changing the file.
pub fn state_dir(path: &Path) -> PathBuf {
    let text = text_of(path).unwrap_or_default();
    let (table, _errors) = DeTable::parse_recoverable(&text);
    let written = table.get_ref().get("state_dir").and_then(|value| value.get_ref().as_str());
    state_dir_of(written, &Surroundings::of(path))
}

/// The key `state_dir`, else systemd's, else the usual place.
pub(super) fn state_dir_of(written: Option<&str>, around: &Surroundings) -> PathBuf {
    written
        .map(|folder| around.folder.join(folder))
        .or_else(|| around.state.clone())
        .unwrap_or_else(|| PathBuf::from("/var/lib/wattkeeper"))
}

fn text_of(path: &Path) -> Result<String, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if about.len() > LARGEST {
        return Err(format!("{} bytes are too large for a config", about.len()));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Validates a config text; `name` is shown as its file.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(text: &str, name: &str, around: &Surroundings) -> Result<(Config, Diagnostics), Diagnostics> {
    let report = Report::new(text, name);
    let (table, errors) = DeTable::parse_recoverable(text);
    let broken = !errors.is_empty();
    for error in errors {
        report.add(Problem::new(error.span().unwrap_or(0..0), format!("not TOML: {}", error.message())).syntax());
    }
    let root = Spanned::new(0..0, DeValue::Table(table.into_inner()));
    let config = read::config(&root, around, &report);
    let diagnostics = report.finish(broken);
    match config {
        Some(config) if diagnostics.errors.is_empty() => Ok((config, diagnostics)),
        _ => Err(diagnostics),
    }
}
