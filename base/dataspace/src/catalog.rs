//! Catalogs (DSP 2025-1, catalog protocol): what a provider offers to the caller.
//!
//! A catalog is read with forbearance: an entry that cannot be read is left out and reported in
//! [`Catalog::problems`], so that one bad entry never hides the rest.
//!
//! Invariant: a written offer has no target (the dataset around it is its target), and no empty
//! list is written.
//!
//! Not here: paging (HTTP `Link` headers), and what a `filter` means.

use serde_json::{Map, Value};

use crate::error::Problem;
use crate::message::{Cause, Message, Out, open};
use crate::names::term;
use crate::policy::Offer;
use crate::read::{Node, Object};

/// Longest body of a catalog, in bytes: the bound of any JSON text.
pub const CATALOG_BYTES_MAX: usize = karvan_types::limits::JSON_BYTES_MAX;
/// Most datasets in one catalog, which is one page.
pub const DATASETS_MAX: usize = 10_000;
/// Most offers of a dataset, distributions, services, and catalogs in a catalog.
pub const ENTRIES_MAX: usize = 256;
/// Deepest nesting of catalogs.
pub const CATALOG_DEPTH_MAX: usize = 4;
/// Most entries of a filter.
pub const FILTERS_MAX: usize = 64;

/// Asks for a catalog (`CatalogRequestMessage`).
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogRequest {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// What to show; its meaning is the provider's. Refuse a filter that is not supported.
    pub filter: Vec<Value>,
}

impl Message for CatalogRequest {
    const TYPE: &'static str = "CatalogRequestMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        let filter = object.list("filter", FILTERS_MAX)?;
        Ok(Self { id, filter: filter.iter().map(|node| node.value.clone()).collect() })
    }

    fn to_value(&self) -> Value {
        Out::root(Self::TYPE, self.id.as_deref()).list("filter", self.filter.clone()).done()
    }
}

/// What a participant offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// `@id`.
    pub id: String,
    /// The participant; absent only in catalogs of others inside of one.
    pub participant_id: Option<String>,
    /// The datasets.
    pub datasets: Vec<Dataset>,
    /// Where they are to be had.
    pub services: Vec<DataService>,
    /// Catalogs inside of this one.
    pub catalogs: Vec<Catalog>,
    /// Entries that were left out because they cannot be read. Never written.
    pub problems: Vec<Problem>,
}

impl Message for Catalog {
    const TYPE: &'static str = "Catalog";
    const BYTES_MAX: usize = CATALOG_BYTES_MAX;

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, _) = open(value, Self::TYPE)?;
        object.required("participantId")?;
        Self::read(&object, CATALOG_DEPTH_MAX)
    }

    fn to_value(&self) -> Value {
        self.write(Out::root(Self::TYPE, None))
    }
}

impl Catalog {
    fn read(object: &Object<'_>, depth_left: usize) -> Result<Self, Problem> {
        let mut problems = Vec::new();
        let inner = |node: &Node<'_>| {
            let object = node.object()?;
            object.expect_type(Self::TYPE)?;
            let Some(depth_left) = depth_left.checked_sub(1) else {
                let rule = format!("is a catalog nested deeper than {CATALOG_DEPTH_MAX}");
                return Err(node.problem(rule, "put its datasets further up"));
            };
            Self::read(&object, depth_left)
        };
        let mut catalog = Self {
            id: object.text("@id")?,
            participant_id: object.optional_text("participantId")?,
            datasets: readable(object.list("dataset", DATASETS_MAX), Dataset::read, &mut problems),
            services: readable(
                object.list("service", ENTRIES_MAX),
                DataService::read,
                &mut problems,
            ),
            catalogs: readable(object.list("catalog", ENTRIES_MAX), inner, &mut problems),
            problems: Vec::new(),
        };
        for dataset in &mut catalog.datasets {
            problems.append(&mut dataset.problems);
        }
        for inner in &mut catalog.catalogs {
            problems.append(&mut inner.problems);
        }
        catalog.problems = problems;
        Ok(catalog)
    }

    fn write(&self, out: Out) -> Value {
        let dataset = |dataset: &Dataset| dataset.write(Map::new());
        let inner = |catalog: &Self| catalog.write(Out::part(Self::TYPE));
        out.text("@id", &self.id)
            .optional("participantId", self.participant_id.as_deref())
            .list("dataset", self.datasets.iter().map(dataset).collect())
            .list("service", self.services.iter().map(DataService::to_value).collect())
            .list("catalog", self.catalogs.iter().map(inner).collect())
            .done()
    }

    /// Returns the dataset with this id, in this catalog or in those inside of it.
    pub fn dataset(&self, id: &str) -> Option<&Dataset> {
        let mine = self.datasets.iter().find(|dataset| dataset.id == id);
        mine.or_else(|| self.catalogs.iter().find_map(|catalog| catalog.dataset(id)))
    }
}

/// Reads what can be read, and reports the rest.
fn readable<'a, T>(
    nodes: Result<Vec<Node<'a>>, Problem>,
    read: impl Fn(&Node<'a>) -> Result<T, Problem>,
    problems: &mut Vec<Problem>,
) -> Vec<T> {
    let mut entries = Vec::new();
    match nodes {
        Ok(nodes) => {
            for node in &nodes {
                match read(node) {
                    Ok(entry) => entries.push(entry),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        Err(problem) => problems.push(problem),
    }
    entries
}

/// Something that can be had under one of its offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// `@id`.
    pub id: String,
    /// The offers; at least one.
    pub offers: Vec<Offer>,
    /// The ways in which the data travels; at least one.
    pub distributions: Vec<Distribution>,
    /// Other properties as they were written, such as titles (DCAT 3, section 6.4).
    pub properties: Map<String, Value>,
    /// Offers and distributions that were left out because they cannot be read. Never written.
    pub problems: Vec<Problem>,
}

/// Members of a dataset that have a field of their own.
const DATASET_MEMBERS: &[&str] = &["@context", "@id", "@type", "hasPolicy", "distribution"];

impl Message for Dataset {
    const TYPE: &'static str = "Dataset";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        open(value, Self::TYPE)?;
        Self::read(&Node::root(value))
    }

    fn to_value(&self) -> Value {
        self.write(Map::from_iter([("@context".to_owned(), vec![crate::names::CONTEXT].into())]))
    }
}

impl Dataset {
    fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object = node.object()?;
        if object.find("@type")?.is_some() {
            object.expect_type(Self::TYPE)?;
        }
        let mut problems = Vec::new();
        let offers = object.required("hasPolicy")?.list(ENTRIES_MAX);
        let distributions = object.required("distribution")?.list(ENTRIES_MAX);
        let other = |(name, _): &(&String, &Value)| !DATASET_MEMBERS.contains(&term(name));
        let others = object.members.iter().filter(other);
        Ok(Self {
            id: object.text("@id")?,
            offers: readable(offers, Offer::read, &mut problems),
            distributions: readable(distributions, Distribution::read, &mut problems),
            properties: others.map(|(name, value)| (name.clone(), value.clone())).collect(),
            problems,
        })
    }

    fn write(&self, start: Map<String, Value>) -> Value {
        let mut members = self.properties.clone();
        members.extend(start);
        Out::with(members)
            .text("@type", Self::TYPE)
            .text("@id", &self.id)
            .list("hasPolicy", offers(&self.offers))
            .list("distribution", self.distributions.iter().map(Distribution::to_value).collect())
            .done()
    }

    /// Returns the offer with this id.
    pub fn offer(&self, id: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.id == id)
    }
}

/// Writes offers as they stand in a catalog: without target.
fn offers(offers: &[Offer]) -> Vec<Value> {
    let bare = |offer: &Offer| Offer { target: None, ..offer.clone() }.to_value();
    offers.iter().map(bare).collect()
}

/// A way in which data travels.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Such as `HttpData-PULL`.
    pub format: String,
    /// Where it is to be had.
    pub access_service: AccessService,
    /// Offers for this way only.
    pub offers: Vec<Offer>,
}

/// A service, by its id or in full.
#[derive(Clone, Debug, PartialEq)]
pub enum AccessService {
    /// The id of a service of the catalog.
    Id(String),
    /// The service itself.
    Full(DataService),
}

impl Distribution {
    fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object = node.object()?;
        let service = object.required("accessService")?;
        let full = matches!(service.value, Value::Object(members) if members.len() > 1);
        let offers = object.list("hasPolicy", ENTRIES_MAX)?;
        Ok(Self {
            format: object.text("format")?,
            access_service: if full {
                AccessService::Full(DataService::read(&service)?)
            } else {
                AccessService::Id(object.text("accessService")?)
            },
            offers: offers.iter().map(Offer::read).collect::<Result<_, _>>()?,
        })
    }

    fn to_value(&self) -> Value {
        let service = match &self.access_service {
            AccessService::Id(id) => Value::String(id.clone()),
            AccessService::Full(service) => service.to_value(),
        };
        Out::part("Distribution")
            .text("format", &self.format)
            .value("accessService", service)
            .list("hasPolicy", offers(&self.offers))
            .done()
    }
}

/// Where datasets are to be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DataService {
    /// `@id`.
    pub id: String,
    /// The base of the provider, with its version path.
    pub endpoint_url: Option<String>,
    /// What speaks there.
    pub endpoint_description: Option<String>,
}

impl DataService {
    fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object = node.object()?;
        Ok(Self {
            id: object.text("@id")?,
            endpoint_url: object.optional_text("endpointURL")?,
            endpoint_description: object.optional_text("endpointDescription")?,
        })
    }

    fn to_value(&self) -> Value {
        Out::part("DataService")
            .text("@id", &self.id)
            .optional("endpointURL", self.endpoint_url.as_deref())
            .optional("endpointDescription", self.endpoint_description.as_deref())
            .done()
    }
}

/// The answer that refuses a question for a catalog or dataset (`CatalogError`).
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogError {
    /// `@id` of the answer.
    pub id: Option<String>,
    /// Why.
    pub cause: Cause,
}

impl Message for CatalogError {
    const TYPE: &'static str = "CatalogError";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        Ok(Self { id, cause: Cause::read(&object)? })
    }

    fn to_value(&self) -> Value {
        self.cause.write(Out::root(Self::TYPE, self.id.as_deref())).done()
    }
}
