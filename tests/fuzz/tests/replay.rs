//! Plays every first input and every input that ever broke a property.

use karvan_fuzz::{TARGETS, seeds};

#[test]
fn what_once_broke_a_property_holds_now() {
    for target in TARGETS {
        for input in seeds::files(&format!("regressions/{}", target.name)) {
            (target.run)(&input);
        }
    }
}

#[test]
fn the_first_inputs_of_every_target_hold() {
    for target in TARGETS {
        let inputs = (target.seeds)();
        assert!(inputs.len() > 1 || target.name == "coo", "{} has too few", target.name);
        for input in &inputs {
            (target.run)(input);
            // A text that is cut or has a wrong byte must not break a property either.
            for cut in [input.len() / 3, input.len() / 2, input.len().saturating_sub(1)] {
                (target.run)(input.get(..cut).unwrap_or_default());
                let mut wrong = input.clone();
                if let Some(byte) = wrong.get_mut(cut) {
                    *byte = byte.wrapping_add(1);
                }
                (target.run)(&wrong);
            }
        }
    }
}

#[test]
fn every_folder_of_regressions_is_of_a_target() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(karvan_fuzz::target(&name).is_some(), "{name} is no target");
    }
}
