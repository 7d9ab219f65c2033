use super::*;

fn place(text: &str) -> Place {
    Place::read(text).expect("a place")
}

#[test]
fn places_are_read_as_they_are_written() {
    let id = "01900000-0000-7000-8000-000000000000";
    for side in ["client", "provider"] {
        let text = format!("{id}.{side}");
        assert_eq!(place(&text).write(), text);
    }
    assert_eq!(place(id), place(&format!("{id}.client")));
    for wrong in ["", "x", "01900000-0000-7000-8000-000000000000.other", ".client"] {
        assert!(Place::read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_list_begins_with_the_latest() {
    let order = [
        "01900000-0000-7000-8000-000000000002.provider",
        "01900000-0000-7000-8000-000000000002.client",
        "01900000-0000-7000-8000-000000000001.provider",
        "01900000-0000-7000-8000-000000000001.client",
    ]
    .map(place);
    for (at, earlier) in order.iter().enumerate() {
        for (other, later) in order.iter().enumerate() {
            assert_eq!(earlier.up_to(later), at <= other, "{earlier:?} {later:?}");
        }
    }
}

#[test]
fn only_proofs_of_calls_are_taken() {
    let id = "01900000-0000-7000-8000-000000000000";
    for (path, expected) in [
        (format!("/karvan/v1/proofs/{id}/call.exchange"), true),
        (format!("/karvan/v1/proofs/{id}/call.refusal"), true),
        (format!("/karvan/v1/proofs/{id}/document.relay"), false),
        (format!("/karvan/v1/proofs/{id}"), false),
        ("/r1/call.exchange".to_owned(), false),
    ] {
        assert_eq!(is_proof(&path), expected, "{path}");
    }
}
