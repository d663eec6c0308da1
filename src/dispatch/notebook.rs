//! The notebook on disk: what devices had before our first write, and the flash writes of the day.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::bus::Notebook;
use crate::durable;
use crate::profile::{Captured, Span, Table};
use crate::reading::DeviceName;

/// One small file a control in a folder of the state directory; written before the first write to the device.
#[derive(Debug)]
pub struct FileNotebook {
    folder: PathBuf,
    pages: Mutex<BTreeMap<String, Page>>,
}

/// What is kept of one control of one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Page {
    version: u32,
    /// Absent once put back. Empty settings are settings, too: there is a release to be done.
    settings: Option<Vec<Setting>>,
    day: i64,
    writes: u32,
}

/// One run of registers as the device had them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Setting {
    table: Table,
    start: u16,
    words: Vec<u16>,
}

const VERSION: u32 = 1;

impl FileNotebook {
    /// Opens the notebook in `folder` (made when first needed). A page that cannot be read is set aside and said: it must
    /// not keep the daemon from starting. That there is one says that its device may still be doing what it was told, so it
    /// counts as one without settings: there is a release to be done.
    pub fn open(folder: &Path) -> Self {
        let mut pages = BTreeMap::new();
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for path in files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "json")) {
            let Some(key) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let page = std::fs::read(&path).and_then(|text| Ok(serde_json::from_slice::<Page>(&text)?));
            match page {
                Ok(page) if page.version <= VERSION => {
                    pages.insert(key.to_owned(), page);
                }
                newer_or_damaged => {
                    let reason =
                        newer_or_damaged.err().map_or("of a newer version".to_owned(), |error| error.to_string());
                    pages.insert(key.to_owned(), set_aside(&path, &reason));
                }
            }
        }
        Self { folder: folder.to_owned(), pages: Mutex::new(pages) }
    }

    fn page(&self, device: &DeviceName, control: &str) -> Page {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.get(&key(device, control)).cloned().unwrap_or_default()
    }

    fn write(&self, device: &DeviceName, control: &str, page: Page) -> io::Result<()> {
        let key = key(device, control);
        let page = Page { version: VERSION, ..page };
        durable::write(&self.folder.join(format!("{key}.json")), &serde_json::to_vec_pretty(&page)?)?;
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(key, page);
        Ok(())
    }
}

/// Sets a page aside that cannot be read; the page that takes its place.
fn set_aside(path: &Path, reason: &str) -> Page {
    let aside = path.with_extension("aside");
    tracing::error!(file = %path.display(), aside = %aside.display(), %reason,
        "notebook page set aside; its device is released, without settings to put back");
    let page = Page { version: VERSION, settings: Some(Vec::new()), ..Page::default() };
    let replaced =
        std::fs::rename(path, &aside).and_then(|()| durable::write(path, &serde_json::to_vec_pretty(&page)?));
    if let Err(error) = replaced {
        tracing::error!(file = %path.display(), %error, "cannot set it aside");
    }
    page
}

/// Names of devices and controls are letters, digits, `-`, `_` and `.`; `@` stands between them.
fn key(device: &DeviceName, control: &str) -> String {
    format!("{device}@{control}")
}

impl Notebook for FileNotebook {
    fn captured(&self, device: &DeviceName, control: &str) -> Option<Captured> {
        let span = |setting: Setting| {
            let len = u16::try_from(setting.words.len()).ok()?;
            Some((Span { table: setting.table, start: setting.start, len }, setting.words))
        };
        self.page(device, control).settings.map(|settings| settings.into_iter().filter_map(span).collect())
    }

    fn keep(&self, device: &DeviceName, control: &str, settings: &Captured) -> io::Result<()> {
        let setting =
            |(span, words): (&Span, &Vec<u16>)| Setting { table: span.table, start: span.start, words: words.clone() };
        let settings = Some(settings.iter().map(setting).collect());
        self.write(device, control, Page { settings, ..self.page(device, control) })
    }

    fn put_back(&self, device: &DeviceName, control: &str) -> io::Result<()> {
        let page = self.page(device, control);
        if page.settings.is_none() { Ok(()) } else { self.write(device, control, Page { settings: None, ..page }) }
    }

    fn writes(&self, device: &DeviceName, control: &str, day: i64) -> u32 {
        let page = self.page(device, control);
        if page.day == day { page.writes } else { 0 }
    }

    fn count(&self, device: &DeviceName, control: &str, day: i64, registers: u32) -> io::Result<()> {
        let writes = self.writes(device, control, day).saturating_add(registers);
        self.write(device, control, Page { day, writes, ..self.page(device, control) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_counts_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let device = DeviceName::new("battery-1");
        let settings = Captured::from([(Span::holding(2902, 1), vec![1])]);
        let book = FileNotebook::open(folder.path());
        assert_eq!(book.captured(&device, "battery"), None);
        book.keep(&device, "battery", &settings).unwrap();
        book.count(&device, "battery", 20_000, 3).unwrap();
        book.count(&device, "battery", 20_000, 2).unwrap();

        let book = FileNotebook::open(folder.path());
        assert_eq!(book.captured(&device, "battery"), Some(settings));
        assert_eq!(book.writes(&device, "battery", 20_000), 5);
        assert_eq!(book.writes(&device, "battery", 20_001), 0, "a new day, a new budget");
        book.put_back(&device, "battery").unwrap();

        let book = FileNotebook::open(folder.path());
        assert_eq!(book.captured(&device, "battery"), None);
        assert_eq!(book.writes(&device, "battery", 20_000), 5);
    }

    #[test]
    fn a_damaged_page_is_set_aside_and_its_device_released_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a@battery.json"), b"{ half").unwrap();
        let book = FileNotebook::open(folder.path());
        assert_eq!(book.captured(&DeviceName::new("a"), "battery"), Some(Captured::new()));
        assert!(folder.path().join("a@battery.aside").exists());
    }
}
