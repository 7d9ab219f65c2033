//! Field formats and code lists, by one table over the element names.
//!
//! The table is searched by the end of the path, longest entry first in effect, so `Exporter/ID`
//! and `AdditionalDocument/ID` may differ. Formats are those of the WCO Data Model.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::{Map, Value};
use unicode_normalization::char::is_combining_mark;

use super::placeholders::Placeholder;
use super::{Problems, is_invisible};
use crate::codes;

/// What a field may hold. Lengths are in characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// An identifier of at most so many characters, without invisible characters.
    Id(usize),
    /// A text of at most so many characters.
    Text(usize),
    /// A whole number of at most so many digits.
    Number(u32),
    /// ISO 3166-1 alpha-2.
    Country,
    /// Incoterms 2020.
    Incoterm,
    /// UN/ECE Recommendation 19.
    Mode,
    /// UN/ECE Recommendation 21.
    Package,
}

/// Fields whose text names a document type of this crate, a date or an enumeration are checked
/// while reading and do not stand here.
pub(super) const FIELDS: &[(&str, Format)] = &[
    ("FunctionalReferenceID", Format::Id(35)),
    ("TypeCode", Format::Id(3)),
    ("ID", Format::Id(70)),
    ("VersionID", Format::Number(9)),
    ("agreementID", Format::Id(70)),
    ("officerID", Format::Id(17)),
    ("formCode", Format::Id(17)),
    ("issuePlace", Format::Text(70)),
    ("replaces", Format::Id(70)),
    ("replacedBy", Format::Id(70)),
    ("documentType", Format::Id(3)),
    ("reasonCodes", Format::Id(17)),
    ("pointer", Format::Id(512)),
    ("path", Format::Id(512)),
    ("values/value", Format::Text(512)),
    ("DeclarationOfficeID", Format::Id(17)),
    ("GoodsItemQuantity", Format::Number(5)),
    ("TotalPackageQuantity", Format::Number(8)),
    ("SequenceNumeric", Format::Number(5)),
    ("certificateItem", Format::Number(5)),
    ("LineNumeric", Format::Number(5)),
    ("Name", Format::Text(70)),
    ("Line", Format::Text(70)),
    ("CityName", Format::Text(35)),
    ("PostcodeID", Format::Id(9)),
    ("CountryCode", Format::Country),
    ("Submitter/ID", Format::Id(17)),
    ("Declarant/ID", Format::Id(17)),
    ("Exporter/ID", Format::Id(17)),
    ("Consignee/ID", Format::Id(17)),
    ("Importer/ID", Format::Id(17)),
    ("issuer/ID", Format::Id(17)),
    ("producer/ID", Format::Id(17)),
    ("BorderTransportMeans/ID", Format::Id(35)),
    ("DepartureTransportMeans/ID", Format::Id(35)),
    ("ArrivalTransportMeans/ID", Format::Id(35)),
    ("ModeCode", Format::Mode),
    ("RegistrationNationalityCode", Format::Country),
    ("ContainerCode", Format::Id(3)),
    ("LoadingLocation/ID", Format::Id(17)),
    ("LoadingLocation/Name", Format::Text(256)),
    ("UnloadingLocation/ID", Format::Id(17)),
    ("UnloadingLocation/Name", Format::Text(256)),
    ("RoutingCountryCode", Format::Country),
    ("TransportEquipment/ID", Format::Id(17)),
    ("Seal/ID", Format::Id(35)),
    ("ExportCountry/ID", Format::Country),
    ("Origin/TypeCode", Format::Id(3)),
    ("UCR/ID", Format::Id(35)),
    ("TraderAssignedReferenceID", Format::Id(35)),
    ("CategoryCode", Format::Id(3)),
    ("LPCOExemptionCode", Format::Id(3)),
    ("TradeTerms/ConditionCode", Format::Incoterm),
    ("TradeTerms/LocationID", Format::Id(17)),
    ("Description", Format::Text(512)),
    ("Classification/ID", Format::Id(18)),
    ("edition", Format::Number(4)),
    ("Packaging/TypeCode", Format::Package),
    ("Packaging/QuantityQuantity", Format::Number(8)),
    ("MarksNumbersID", Format::Text(512)),
    ("CurrentCode", Format::Id(7)),
    ("PreviousCode", Format::Id(7)),
    ("DutyRegimeCode", Format::Id(3)),
    ("QuotaOrderID", Format::Id(17)),
    ("MethodCode", Format::Id(3)),
    ("ChargesTypeCode", Format::Id(3)),
    ("ChangeReasonCode", Format::Id(3)),
    ("StatementDescription", Format::Text(512)),
    ("DocumentSectionCode", Format::Id(3)),
    ("TagID", Format::Id(4)),
    ("ValidationCode", Format::Id(8)),
    ("Carrier/ID", Format::Id(17)),
    ("route/Location/ID", Format::Id(5)),
    ("route/Location/Name", Format::Text(256)),
    ("reasons", Format::Id(17)),
    ("questions/text", Format::Text(512)),
    ("answers/text", Format::Text(512)),
    ("number", Format::Number(5)),
    ("of", Format::Number(5)),
    ("debits", Format::Number(9)),
    ("count", Format::Number(9)),
    ("issuedIn/ID", Format::Country),
    ("unmatched/UCR", Format::Id(35)),
];

/// Decimal places of an amount (WCO format n..16,3).
const AMOUNT_PLACES_MAX: usize = 3;
/// Length of a text that stands in no table.
const OTHER_LENGTH_MAX: usize = 512;

/// Most combining marks in a row. Vocalised Arabic script has three; more hide what is under them.
const MARKS_MAX: usize = 4;

/// Checks every leaf of a message.
pub(super) fn check(message: &Value, problems: &mut Problems) {
    walk(message, &mut Place::default(), problems);
}

/// Where the walk is. Both texts grow and shrink with it, so that a leaf costs no copy of them.
#[derive(Default)]
struct Place {
    /// Element names with occurrence numbers.
    pointer: String,
    /// Element names alone.
    path: String,
}

impl Place {
    /// Goes into a member.
    fn enter(&mut self, name: &str) {
        for text in [&mut self.pointer, &mut self.path] {
            if !text.is_empty() {
                text.push('/');
            }
            text.push_str(name);
        }
    }

    /// Goes back to where the texts had these lengths.
    fn leave(&mut self, (pointer, path): (usize, usize)) {
        self.pointer.truncate(pointer);
        self.path.truncate(path);
    }

    const fn lengths(&self) -> (usize, usize) {
        (self.pointer.len(), self.path.len())
    }
}

fn walk(value: &Value, place: &mut Place, problems: &mut Problems) {
    let here = place.lengths();
    match value {
        Value::Object(members) => {
            if members.contains_key("currency") {
                return amount(members, &place.pointer, problems);
            }
            if members.contains_key("unit") {
                return quantity(members, &place.pointer, problems);
            }
            for (name, member) in members {
                place.enter(name);
                walk(member, place, problems);
                place.leave(here);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                // Writing to a text cannot fail.
                let _ = write!(place.pointer, "[{}]", index + 1);
                walk(item, place, problems);
                place.leave(here);
            }
        }
        Value::String(text) => leaf(text, &place.pointer, &place.path, problems),
        Value::Number(number) => {
            if let Some(Format::Number(digits)) = format_of(&place.path)
                && number.as_u64().is_none_or(|n| n >= 10_u64.pow(digits))
            {
                problems.refuse(
                    &place.pointer,
                    "LENGTH",
                    format!("the number {number} is too long; at most {digits} digits are allowed"),
                );
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// The entries of [`FIELDS`] by their last name, the longest first.
static BY_LAST_NAME: LazyLock<HashMap<&str, Vec<(&str, Format)>>> = LazyLock::new(|| {
    let mut found: HashMap<&str, Vec<(&str, Format)>> = HashMap::new();
    for (entry, format) in FIELDS {
        found.entry(last_name(entry)).or_default().push((entry, *format));
    }
    for entries in found.values_mut() {
        entries.sort_by_key(|(entry, _)| std::cmp::Reverse(entry.len()));
    }
    found
});

fn last_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Returns the format of the longest entry that the path ends with.
pub(crate) fn format_of(path: &str) -> Option<Format> {
    let entries = BY_LAST_NAME.get(last_name(path))?;
    let fits = |entry: &str| {
        path.strip_suffix(entry).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    entries.iter().find(|(entry, _)| fits(entry)).map(|(_, format)| *format)
}

fn leaf(text: &str, pointer: &str, path: &str, problems: &mut Problems) {
    if text.trim().is_empty() {
        return problems.refuse(pointer, "EMPTY", "the field is empty; fill it or leave it out");
    }
    let format = format_of(path);
    let length_max = match format {
        Some(Format::Id(max) | Format::Text(max)) => max,
        Some(Format::Country | Format::Package) => 2,
        Some(Format::Incoterm) => 3,
        Some(Format::Mode) => 1,
        Some(Format::Number(_)) | None => OTHER_LENGTH_MAX,
    };
    let length = text.chars().count();
    if length > length_max {
        return problems.refuse(
            pointer,
            "LENGTH",
            format!("the text has {length} characters; at most {length_max} are allowed"),
        );
    }
    characters(text, format, (pointer, path), problems);
    match format {
        Some(Format::Country) if codes::country(text).is_none() => problems.refuse(
            pointer,
            "COUNTRY",
            format!("`{text}` is not a country of ISO 3166-1; use two capital letters such as AZ"),
        ),
        Some(Format::Incoterm) if !codes::INCOTERMS.contains(&text) => problems.refuse(
            pointer,
            "INCOTERM",
            format!("`{text}` is not a rule of Incoterms 2020; use one such as CIF"),
        ),
        Some(Format::Mode) if !codes::TRANSPORT_MODES.contains(&text) => problems.refuse(
            pointer,
            "MODE",
            format!("`{text}` is not a mode of transport; use 0 to 9 of Recommendation 19"),
        ),
        Some(Format::Package) if codes::package(text).is_none() => problems.refuse(
            pointer,
            "PACKAGE",
            format!("`{text}` is not a kind of package of Recommendation 21, such as CT"),
        ),
        _ => {}
    }
}

/// Looks for characters that hide or resemble others.
fn characters(
    text: &str,
    format: Option<Format>,
    (pointer, path): (&str, &str),
    problems: &mut Problems,
) {
    let is_id = !matches!(format, Some(Format::Text(_)));
    if let Some(c) = text.chars().find(|c| is_invisible(*c)) {
        let code = u32::from(c);
        if is_id {
            let remedy = format!("the invisible character U+{code:04X} must not stand in a code");
            problems.refuse(pointer, "HIDDEN", remedy);
        } else {
            let remedy = format!(
                "the text holds the invisible character U+{code:04X}; it is left out when shown"
            );
            problems.notice(pointer, "HIDDEN", remedy);
        }
    } else if is_id && let Some(c) = text.chars().find(|c| !c.is_ascii_graphic() && *c != ' ') {
        let remedy = format!("`{c}` is not a plain Latin letter or digit; check for a look-alike");
        problems.flag(pointer, "CONFUSE", remedy);
    }
    if text.trim() != text {
        problems.flag(pointer, "SPACE", "the text begins or ends with a space; remove it");
    }
    marks(text, pointer, problems);
    if pointer.ends_with("Name") || pointer.ends_with("Line") {
        filler(text, pointer, path, problems);
    }
}

/// Refuses text under a heap of combining marks.
fn marks(text: &str, pointer: &str, problems: &mut Problems) {
    let mut row = 0;
    for c in text.chars() {
        row = if is_combining_mark(c) { row + 1 } else { 0 };
        if row > MARKS_MAX {
            let remedy = format!("more than {MARKS_MAX} combining marks stand on one letter");
            return problems.refuse(pointer, "MARKS", remedy);
        }
    }
}

/// Reads a placeholder as its code where the form allows it; elsewhere it is no name.
fn filler(text: &str, pointer: &str, path: &str, problems: &mut Problems) {
    let Some(meaning) = Placeholder::of(text) else { return };
    if meaning.is_allowed_in(path) {
        let remedy = format!("`{}` is read as the code {}", text.trim(), meaning.code());
        problems.notice(pointer, "FILLER", remedy);
    } else {
        let remedy = format!("`{}` is a placeholder and no name; give the name", text.trim());
        problems.refuse(pointer, "FILLER", remedy);
    }
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> &'a str {
    members.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn amount(members: &Map<String, Value>, pointer: &str, problems: &mut Problems) {
    let code: String = member(members, "currency").chars().take(20).collect();
    match codes::currency(&code) {
        None => problems.refuse(
            pointer,
            "CURRENCY",
            format!("`{code}` is not a currency of ISO 4217; use three capital letters"),
        ),
        Some(currency) => {
            if currency.withdrawn.is_some() {
                problems.refuse(pointer, "CURRENCY", codes::withdrawn(currency));
            }
        }
    }
    let places = member(members, "value").split_once('.').map_or(0, |(_, digits)| digits.len());
    if places > AMOUNT_PLACES_MAX {
        let remedy =
            format!("the amount has {places} decimals; at most {AMOUNT_PLACES_MAX} are allowed");
        problems.refuse(pointer, "DECIMALS", remedy);
    }
}

fn quantity(members: &Map<String, Value>, pointer: &str, problems: &mut Problems) {
    let text: String = member(members, "unit").chars().take(20).collect();
    if codes::units::unit(&text).is_some() {
        return;
    }
    let remedy = match codes::units::by_spelling(&text) {
        Some(unit) => format!("`{text}` is a national spelling; write {}", unit.code),
        None => format!("`{text}` is not a known unit of Recommendation 20, such as KGM"),
    };
    problems.refuse(pointer, "UNIT", remedy);
}
