//! The profiles there are: those compiled in, and those of a folder, which win.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Profile, parse};

/// Profiles by id.
#[derive(Clone, Debug)]
pub struct Library {
    profiles: BTreeMap<Arc<str>, Arc<Profile>>,
}

/// The profiles compiled in: file name and text.
const BUILT_IN: &[(&str, &str)] = &[
    ("abb-b23.toml", include_str!("../../config/profiles/abb-b23.toml")),
    ("abb-terra-ac.toml", include_str!("../../config/profiles/abb-terra-ac.toml")),
    ("alfen-eve.toml", include_str!("../../config/profiles/alfen-eve.toml")),
    ("carlo-gavazzi-em24.toml", include_str!("../../config/profiles/carlo-gavazzi-em24.toml")),
    ("carlo-gavazzi-em24-e1.toml", include_str!("../../config/profiles/carlo-gavazzi-em24-e1.toml")),
    ("carlo-gavazzi-em340.toml", include_str!("../../config/profiles/carlo-gavazzi-em340.toml")),
    ("chint-dtsu666.toml", include_str!("../../config/profiles/chint-dtsu666.toml")),
    ("chint-dtsu666-h.toml", include_str!("../../config/profiles/chint-dtsu666-h.toml")),
    ("deye-1p.toml", include_str!("../../config/profiles/deye-1p.toml")),
    ("deye-3p.toml", include_str!("../../config/profiles/deye-3p.toml")),
    ("eastron-sdm120.toml", include_str!("../../config/profiles/eastron-sdm120.toml")),
    ("eastron-sdm630.toml", include_str!("../../config/profiles/eastron-sdm630.toml")),
    ("eastron-sdm72.toml", include_str!("../../config/profiles/eastron-sdm72.toml")),
    ("eastron-sdm72-v2.toml", include_str!("../../config/profiles/eastron-sdm72-v2.toml")),
    ("eletechsup-relay-8.toml", include_str!("../../config/profiles/eletechsup-relay-8.toml")),
    ("eletechsup-relay-8-timed.toml", include_str!("../../config/profiles/eletechsup-relay-8-timed.toml")),
    ("fronius-gen24.toml", include_str!("../../config/profiles/fronius-gen24.toml")),
    ("generic.toml", include_str!("../../config/profiles/generic.toml")),
    ("goodwe-et.toml", include_str!("../../config/profiles/goodwe-et.toml")),
    ("growatt-tl-xh.toml", include_str!("../../config/profiles/growatt-tl-xh.toml")),
    ("huawei-sun2000.toml", include_str!("../../config/profiles/huawei-sun2000.toml")),
    ("janitza-umg.toml", include_str!("../../config/profiles/janitza-umg.toml")),
    ("keba-p30.toml", include_str!("../../config/profiles/keba-p30.toml")),
    ("keba-p40.toml", include_str!("../../config/profiles/keba-p40.toml")),
    ("kostal-plenticore.toml", include_str!("../../config/profiles/kostal-plenticore.toml")),
    ("lc-relay-8.toml", include_str!("../../config/profiles/lc-relay-8.toml")),
    ("my-pv-elwa.toml", include_str!("../../config/profiles/my-pv-elwa.toml")),
    ("phoenix-em-cp.toml", include_str!("../../config/profiles/phoenix-em-cp.toml")),
    ("phoenix-ev-eth.toml", include_str!("../../config/profiles/phoenix-ev-eth.toml")),
    ("schneider-iem3155.toml", include_str!("../../config/profiles/schneider-iem3155.toml")),
    ("sg-ready-waveshare.toml", include_str!("../../config/profiles/sg-ready-waveshare.toml")),
    ("shelly-pro-3em.toml", include_str!("../../config/profiles/shelly-pro-3em.toml")),
    ("siemens-pac2200.toml", include_str!("../../config/profiles/siemens-pac2200.toml")),
    ("sma-sunny-island.toml", include_str!("../../config/profiles/sma-sunny-island.toml")),
    ("sma-tripower-se.toml", include_str!("../../config/profiles/sma-tripower-se.toml")),
    ("sofar-hyd.toml", include_str!("../../config/profiles/sofar-hyd.toml")),
    ("solaredge-storedge.toml", include_str!("../../config/profiles/solaredge-storedge.toml")),
    ("solis-hybrid.toml", include_str!("../../config/profiles/solis-hybrid.toml")),
    ("sungrow-sh.toml", include_str!("../../config/profiles/sungrow-sh.toml")),
    ("sunspec.toml", include_str!("../../config/profiles/sunspec.toml")),
    ("sunspec-meter.toml", include_str!("../../config/profiles/sunspec-meter.toml")),
    ("victron-gx.toml", include_str!("../../config/profiles/victron-gx.toml")),
    ("waveshare-relay-8.toml", include_str!("../../config/profiles/waveshare-relay-8.toml")),
];

impl Library {
    /// The profiles compiled in. Each is proven to load by a test; one that did not would be left out.
    pub fn builtin() -> Self {
        let mut library = Self { profiles: BTreeMap::new() };
        for (file, text) in BUILT_IN {
            if let Ok(profile) = parse(text, file) {
                library.add(profile);
            }
        }
        library
    }

    /// The profiles compiled in, with those of a folder (`*.toml`) added or put in their place.
    ///
    /// # Errors
    /// All that is wrong with all files of the folder.
    pub fn with_folder(folder: &Path) -> Result<Self, Vec<String>> {
        let mut library = Self::builtin();
        let mut errors = Vec::new();
        let entries =
            std::fs::read_dir(folder).map_err(|error| vec![format!("error: {}: {error}", folder.display())])?;
        let mut files: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
            let name = file.display().to_string();
            match std::fs::read_to_string(file) {
                Ok(text) => match parse(&text, &name) {
                    Ok(profile) => library.add(profile),
                    Err(found) => errors.extend(found),
                },
                Err(error) => errors.push(format!("error: {name}: {error}")),
            }
        }
        if errors.is_empty() { Ok(library) } else { Err(errors) }
    }

    /// The profile with this id.
    pub fn get(&self, id: &str) -> Option<Arc<Profile>> {
        self.profiles.get(id).cloned()
    }

    /// All ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(|id| &**id)
    }

    fn add(&mut self, profile: Profile) {
        self.profiles.insert(profile.id.clone(), Arc::new(profile));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_loads() {
        for (file, text) in BUILT_IN {
            if let Err(errors) = parse(text, file) {
                panic!("{}", errors.join("\n"));
            }
        }
        let library = Library::builtin();
        assert_eq!(library.ids().count(), BUILT_IN.len());
    }

    #[test]
    fn a_folder_adds_and_replaces_and_says_all_that_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let sdm = BUILT_IN.iter().find(|(file, _)| *file == "eastron-sdm630.toml").unwrap().1;
        let own = sdm.replace("Eastron SDM630", "our own SDM630");
        std::fs::write(folder.path().join("eastron-sdm630.toml"), own).unwrap();
        let library = Library::with_folder(folder.path()).unwrap();
        assert_eq!(library.get("eastron-sdm630").unwrap().name, "our own SDM630");

        std::fs::write(folder.path().join("a.toml"), "[profile]\nid = \"b\"").unwrap();
        std::fs::write(folder.path().join("b.toml"), "not toml at all").unwrap();
        let errors = Library::with_folder(folder.path()).unwrap_err();
        assert!(errors.len() > 2, "{errors:?}");
        assert!(Library::with_folder(&folder.path().join("nowhere")).is_err());
    }
}
