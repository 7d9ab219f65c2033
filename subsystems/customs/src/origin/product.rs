//! A product: the facts on which origin is decided, each of which may be missing.
//!
//! The format is `karvan-origin-product/1`, described in `docs/use/origin.md`. Amounts are in one
//! currency and masses in kilograms. A field that is absent is a fact that is not known; `false`
//! and empty lists are statements.

use karvan_types::{Date, Decimal};

use super::codes::goods_code;
use super::error::Error;
use super::read::{Reader, read};
use super::set;
use crate::codes;

/// Value of the member `format` of a product file.
pub(super) const FORMAT: &str = "karvan-origin-product/1";
/// Most materials of a product; the sum of their values stays exact.
const MATERIALS_MAX: usize = 1000;
/// Most countries, operations or documents on a route.
const ROUTE_MAX: usize = 100;
/// Most processes of a product.
const PROCESSES_MAX: usize = 500;
/// What stands for the country of a material without origin: it has none that counts, or nobody
/// could determine it, which the agreements treat alike.
pub(super) const WITHOUT_ORIGIN: [&str; 2] = ["none", "undetermined"];

/// Facts about one product.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Product {
    /// The goods in words.
    pub goods: String,
    /// Their code, 6 to 10 digits.
    pub code: String,
    /// Edition of the Harmonized System of the code and, unless they say otherwise, of the
    /// materials.
    pub hs_edition: u16,
    /// Id of the entry of the rule set whose words describe the goods.
    pub entry: Option<String>,
    /// Country of production, ISO 3166-1 alpha-2.
    pub produced_in: String,
    /// Country of destination.
    pub destination: String,
    /// Ex-works price.
    pub ex_works: Option<Decimal>,
    /// Free-on-board value.
    pub fob: Option<Decimal>,
    /// Direct labour.
    pub labour: Option<Decimal>,
    /// Direct overhead.
    pub overhead: Option<Decimal>,
    /// Profit.
    pub profit: Option<Decimal>,
    /// Net mass in kilograms.
    pub net_mass: Option<Decimal>,
    /// How the goods were wholly obtained; `Some(None)` when they were not.
    pub wholly_obtained: Option<Option<String>>,
    /// All materials, without exception.
    pub materials: Option<Vec<Material>>,
    /// Processes carried out in the country of production.
    pub processes: Option<Vec<String>>,
    /// Whether the list of processes is complete.
    pub processes_complete: Option<bool>,
    /// The route.
    pub transport: Transport,
    /// The certificate.
    pub certificate: Certificate,
}

/// A material of the product.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Material {
    /// What it is.
    pub name: String,
    /// Its code, 6 to 10 digits.
    pub code: String,
    /// Edition of its code.
    pub hs_edition: u16,
    /// Country in which it originates by the rules of the agreement, `none` or `undetermined`.
    pub origin: Option<String>,
    /// Number of the proof of that origin.
    pub proof: Option<String>,
    /// Whether it was wholly obtained there.
    pub wholly_obtained: Option<bool>,
    /// Its value, as the agreement wants it: mostly the customs value at import.
    pub value: Option<Decimal>,
    /// Its mass in kilograms.
    pub mass: Option<Decimal>,
}

/// The way of the goods.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Transport {
    /// Countries of transit; empty for a direct way.
    pub transit: Option<Vec<String>>,
    /// Whether the goods stayed under customs control in transit.
    pub customs_control: Option<bool>,
    /// Whether they were traded or put to use in transit.
    pub traded: Option<bool>,
    /// What was done with them in transit.
    pub operations: Option<Vec<String>>,
    /// Documents that prove the way.
    pub proofs: Option<Vec<String>>,
}

/// Facts about the certificate and the invoice.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Certificate {
    /// Day of issue.
    pub issued: Option<Date>,
    /// Day of shipment.
    pub shipped: Option<Date>,
    /// Day on which it is presented with the claim.
    pub presented: Option<Date>,
    /// Whether it is marked as issued retrospectively.
    pub retrospective: Option<bool>,
    /// Whether the invoice is from a third country.
    pub third_party_invoice: Option<bool>,
    /// Whether the certificate says so.
    pub third_party_declared: Option<bool>,
}

impl Product {
    /// Reads a product; `file` names it in errors.
    ///
    /// Refuses what is not strict JSON or breaks a rule, with every problem found.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, Error> {
        read(file, text, product)
    }
}

fn product(at: &Reader<'_>) -> Option<Product> {
    // A file of another kind would break every rule there is; one is enough to say so.
    at.members()?;
    at.need("format")?.choice(&[(FORMAT, ())])?;
    at.object(&[
        "format",
        "about",
        "goods",
        "code",
        "hs_edition",
        "entry",
        "produced_in",
        "destination",
        "price",
        "net_mass_kg",
        "wholly_obtained",
        "materials",
        "processes",
        "transport",
        "certificate",
    ])?;
    let hs_edition = at.need("hs_edition").and_then(|at| set::read_edition(&at));
    let code = at.need("code").and_then(|at| code(&at, hs_edition));
    let mut product = Product {
        entry: at.member("entry").and_then(|at| at.name()),
        net_mass: at.member("net_mass_kg").and_then(|at| at.positive()),
        wholly_obtained: at
            .member("wholly_obtained")
            .and_then(|at| if at.is_false() { Some(None) } else { at.name().map(Some) }),
        ..Product::default()
    };
    if let Some(price) = at.member("price") {
        prices(&price, &mut product)?;
    }
    if let Some(list) = at.member("materials") {
        let items = list.list(MATERIALS_MAX);
        let taken = items.iter().filter_map(|item| material(item, hs_edition)).collect();
        product.materials = Some(taken);
    }
    if let Some(processes) = at.member("processes") {
        processes.object(&["done", "complete"])?;
        product.processes = Some(names(&processes.need("done")?, PROCESSES_MAX));
        product.processes_complete = processes.member("complete").and_then(|at| at.boolean());
    }
    product.transport = at.member("transport").and_then(|at| transport(&at)).unwrap_or_default();
    product.certificate =
        at.member("certificate").and_then(|at| certificate(&at)).unwrap_or_default();
    product.goods = at.need("goods")?.text()?;
    product.produced_in = at.need("produced_in")?.country()?;
    product.destination = at.need("destination")?.country()?;
    (product.code, product.hs_edition) = (code?, hs_edition?);
    Some(product)
}

fn code(at: &Reader<'_>, edition: Option<u16>) -> Option<String> {
    let code = goods_code(&at.text()?);
    let Some(code) = code else {
        at.fail("this is no code of 6, 8 or 10 digits", "write it like \"740811\"");
        return None;
    };
    let is_listed = code.get(..6).is_some_and(|six| codes::hs(six).is_some());
    if edition == Some(codes::HS_EDITION) && !is_listed {
        let text = format!("{code} does not begin with a code of HS {}", codes::HS_EDITION);
        at.fail(text, "correct the code, or state its edition in `hs_edition`");
    }
    Some(code)
}

fn prices(at: &Reader<'_>, product: &mut Product) -> Option<()> {
    at.object(&["currency", "ex_works", "fob", "labour", "overhead", "profit"])?;
    let currency = at.need("currency")?;
    if currency.text().is_some_and(|code| codes::currency(&code).is_none()) {
        currency.fail("this is no currency of ISO 4217", "write three letters such as USD");
    }
    product.ex_works = at.member("ex_works").and_then(|at| at.positive());
    product.fob = at.member("fob").and_then(|at| at.positive());
    product.labour = at.member("labour").and_then(|at| at.decimal(None));
    product.overhead = at.member("overhead").and_then(|at| at.decimal(None));
    product.profit = at.member("profit").and_then(|at| at.decimal(None));
    Some(())
}

fn material(at: &Reader<'_>, edition: Option<u16>) -> Option<Material> {
    at.object(&[
        "name",
        "code",
        "hs_edition",
        "origin",
        "proof",
        "wholly_obtained",
        "value",
        "mass_kg",
    ])?;
    let own = at.member("hs_edition").map(|at| set::read_edition(&at));
    let hs_edition = own.unwrap_or(edition);
    let code = at.need("code").and_then(|at| code(&at, hs_edition));
    let origin = at.member("origin").and_then(|at| {
        let without = at.text().filter(|text| WITHOUT_ORIGIN.contains(&text.as_str()));
        without.or_else(|| at.country())
    });
    let proof = at.member("proof").and_then(|at| at.text());
    let wholly_obtained = at.member("wholly_obtained").and_then(|at| at.boolean());
    let value = at.member("value").and_then(|at| at.decimal(None));
    let mass = at.member("mass_kg").and_then(|at| at.decimal(None));
    let name = at.need("name").and_then(|at| at.text());
    Some(Material {
        name: name?,
        code: code?,
        hs_edition: hs_edition?,
        origin,
        proof,
        wholly_obtained,
        value,
        mass,
    })
}

fn names(at: &Reader<'_>, max: usize) -> Vec<String> {
    at.list(max).iter().filter_map(Reader::name).collect()
}

fn transport(at: &Reader<'_>) -> Option<Transport> {
    at.object(&["transit", "customs_control", "traded", "operations", "proofs"])?;
    let countries =
        |at: Reader<'_>| at.list(ROUTE_MAX).iter().filter_map(Reader::country).collect();
    Some(Transport {
        transit: at.member("transit").map(countries),
        customs_control: at.member("customs_control").and_then(|at| at.boolean()),
        traded: at.member("traded").and_then(|at| at.boolean()),
        operations: at.member("operations").map(|at| names(&at, ROUTE_MAX)),
        proofs: at.member("proofs").map(|at| names(&at, ROUTE_MAX)),
    })
}

fn certificate(at: &Reader<'_>) -> Option<Certificate> {
    at.object(&[
        "issued",
        "shipped",
        "presented",
        "retrospective",
        "third_party_invoice",
        "third_party_declared",
    ])?;
    Some(Certificate {
        issued: at.member("issued").and_then(|at| at.date()),
        shipped: at.member("shipped").and_then(|at| at.date()),
        presented: at.member("presented").and_then(|at| at.date()),
        retrospective: at.member("retrospective").and_then(|at| at.boolean()),
        third_party_invoice: at.member("third_party_invoice").and_then(|at| at.boolean()),
        third_party_declared: at.member("third_party_declared").and_then(|at| at.boolean()),
    })
}
