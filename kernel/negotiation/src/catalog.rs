//! Catalogs: what this node offers to a caller, page by page, and what peers offer to us.
//!
//! A dataset is listed once for every audience that sees it, so a page costs as many rows as it
//! shows and not as many as there are. One dataset that cannot be shown hides no other.

use std::collections::BTreeSet;

use http::StatusCode;
use karvan_dataspace::catalog::{
    AccessService, Catalog, CatalogRequest, DataService, Distribution,
};
use karvan_dataspace::policy::{Offer, Wording};
use karvan_dataspace::{catalog, from_slice, to_vec};
use karvan_store::{Range, Read, Tx};
use karvan_types::{ErrorKind, MemberId};
use serde_json::{Map, Value};

use crate::Error;
use crate::decide::offer_id;
use crate::engine::Engine;
use crate::feeds::PULL;
use crate::identity::{NODE_PREFIX, Participant, participant_of};
use crate::line::Parcel;
use crate::push::{PUSH, can_push};
use crate::records::{Dataset, Kind, Shown};
use crate::terms;

/// The member of a dataset that says what it is, as JSON in a text.
pub const KIND_MEMBER: &str = "urn:karvan:dsp:v1:kind";
/// Formats that are understood here.
pub const FORMATS: &[&str] = &[PULL, PUSH, "Karvan-CALL", "Karvan-DOCUMENT"];
/// Longest id of a dataset, in bytes.
const ID_BYTES_MAX: usize = 200;
/// Longest title or description, in bytes.
const TEXT_BYTES_MAX: usize = 4_000;
/// Most audiences of a dataset.
const AUDIENCES_MAX: usize = 100;
/// Most datasets of one node.
const DATASETS_MAX: u64 = 100_000;
/// Most datasets that are left out at the beginning.
const OFFSET_MAX: usize = 10_000;
/// Most pages of a peer's catalog that are followed.
const PAGES_MAX: usize = 200;

/// One page of a catalog.
#[derive(Debug)]
pub struct Page {
    /// The datasets, in the order of their ids.
    pub datasets: Vec<Dataset>,
    /// After which id the next page begins, if there is one.
    pub next: Option<String>,
    /// How many rows were read for it.
    pub rows: usize,
}

/// Reads the page after `after` of what these audiences see, without its first `skip` datasets.
pub fn page(
    view: &dyn Read,
    audiences: &[String],
    after: Option<&str>,
    (skip, size): (usize, usize),
) -> Result<Page, karvan_store::Error> {
    let mut ids = BTreeSet::new();
    let mut rows = 0;
    for audience in audiences {
        let range = Range::of("audience", vec![audience.as_str().into()], skip + size + 1);
        let range = match after {
            Some(after) => range.after(after),
            None => range,
        };
        let shown = view.select::<Shown>(&range)?;
        rows += shown.len();
        ids.extend(shown.into_iter().map(|shown| shown.dataset));
    }
    let more = ids.len() > skip + size;
    let ids: Vec<_> = ids.into_iter().skip(skip).take(size).collect();
    let next = ids.last().filter(|_| more).cloned();
    let mut datasets = Vec::with_capacity(ids.len());
    for id in ids {
        rows += 1;
        match view.find::<Dataset>(id.as_str()) {
            Ok(Some(dataset)) => datasets.push(dataset),
            Ok(None) => {}
            // One damaged row must not hide the others; the operator sees it in the log.
            Err(error) => tracing::error!(dataset = id, "a dataset cannot be shown: {error}"),
        }
    }
    Ok(Page { datasets, next, rows })
}

/// Which part of a catalog is asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stretch {
    /// How many datasets to leave out at the beginning.
    pub offset: usize,
    /// How many to show at most.
    pub limit: Option<usize>,
}

impl Stretch {
    /// Reads a `filter`. The protocol leaves its meaning open; understood is the query of Eclipse
    /// EDC without conditions, which its connectors always send.
    pub fn of_filter(filter: &[Value]) -> Result<Self, Error> {
        let refuse = || {
            let text = "only a QuerySpec with `offset` and `limit` and no `filterExpression` is \
                        understood; ask without a filter";
            Error::invalid("filter", text)
        };
        let query = match filter {
            [] => return Ok(Self::default()),
            [query] => query.as_object().ok_or_else(refuse)?,
            _ => return Err(refuse()),
        };
        let number = |name: &str| match query.get(name) {
            None => Ok(None),
            Some(value) => {
                let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
                number.map(Some).ok_or_else(refuse)
            }
        };
        let bare = query
            .get("filterExpression")
            .is_none_or(|conditions| conditions.as_array().is_some_and(Vec::is_empty));
        let known = ["@type", "offset", "limit", "sortOrder", "filterExpression"];
        if !bare || !query.keys().all(|name| known.contains(&name.as_str())) {
            return Err(refuse());
        }
        Ok(Self { offset: number("offset")?.unwrap_or(0), limit: number("limit")? })
    }
}

/// Checks a dataset before anybody sees it.
fn check(dataset: &Dataset) -> Result<(), Error> {
    let fail =
        |field: &str, rule: &str| Err(Error::invalid("dataset", format!("`{field}` {rule}")));
    let plain = |text: &str| !text.trim().is_empty() && !text.contains(char::is_control);
    if !plain(&dataset.id) || dataset.id.len() > ID_BYTES_MAX || dataset.id.contains(' ') {
        return fail("id", "is 1 to 200 bytes without spaces");
    }
    let about = dataset.description.as_deref().unwrap_or("-");
    if !plain(&dataset.title)
        || dataset.title.len() > TEXT_BYTES_MAX
        || about.len() > TEXT_BYTES_MAX
    {
        return fail(
            "title",
            "and `description` have at most 4000 bytes, and the title at least 1",
        );
    }
    if !(1..=AUDIENCES_MAX).contains(&dataset.visible_to.len()) {
        return fail("visibleTo", "names 1 to 100 of `*`, nations and members");
    }
    if dataset.formats.is_empty() || !dataset.formats.iter().all(|f| FORMATS.contains(&f.as_str()))
    {
        return fail(
            "formats",
            "names at least one of HttpData-PULL, HttpData-PUSH, Karvan-CALL, Karvan-DOCUMENT",
        );
    }
    let pushes = dataset.formats.iter().any(|format| format == PUSH);
    let expected = match &dataset.kind {
        Kind::Feed {} => dataset.source.is_some(),
        _ => dataset.source.is_some() == pushes && pushes == can_push(dataset),
    };
    if !expected {
        return fail("source", "is there for a feed, and a folder for documents that are pushed");
    }
    if offer_id(&dataset.policy).is_none_or(|id| !plain(id)) {
        return fail("policy", "is an ODRL offer with an `@id`");
    }
    terms::check_offer(&Wording::from_value(&dataset.policy)?)
}

impl Engine {
    /// Adds a dataset, or replaces the one of the same id and provider.
    pub async fn publish(&self, dataset: Dataset) -> Result<(), Error> {
        check(&dataset)?;
        self.node.member_key(&dataset.provider)?;
        if let Some(source) = &dataset.source {
            source.check(&self.node, &dataset.provider).await?;
        }
        self.node
            .store()
            .write(move |tx| -> Result<(), Error> {
                if let Some(known) = tx.find::<Dataset>(dataset.id.as_str())?
                    && known.provider != dataset.provider
                {
                    let text = format!("`{}` is a dataset of {}", dataset.id, known.provider);
                    return Err(Error::new(ErrorKind::Conflict, "dataset", text));
                }
                if tx.count(&crate::records::DATASET, &Range::all(1))? >= DATASETS_MAX {
                    let text = "this node offers as many datasets as it can; remove one first";
                    return Err(Error::new(ErrorKind::Overloaded, "dataset", text));
                }
                hide(tx, &dataset.id)?;
                let audiences: BTreeSet<_> = dataset.visible_to.iter().cloned().collect();
                for audience in audiences {
                    tx.save(&Shown { audience, dataset: dataset.id.clone() })?;
                }
                tx.save(&dataset)?;
                Ok(())
            })
            .await
    }

    /// Takes a dataset of a member out of the catalog; agreements about it stay.
    pub async fn unpublish(&self, id: &str, provider: &MemberId) -> Result<(), Error> {
        let (id, provider) = (id.to_owned(), provider.member());
        self.node
            .store()
            .write(move |tx| -> Result<(), Error> {
                let found = tx.find::<Dataset>(id.as_str())?;
                let own = found.filter(|dataset| dataset.provider.member() == provider);
                own.ok_or_else(|| Error::unknown("dataset", &id))?;
                hide(tx, &id)?;
                tx.remove::<Dataset>(id.as_str())?;
                Ok(())
            })
            .await
    }

    /// Returns a page of what a participant sees.
    pub async fn catalog_page(
        &self,
        caller: &Participant,
        after: Option<String>,
        stretch: Stretch,
    ) -> Result<Page, Error> {
        let size = stretch.limit.unwrap_or(usize::MAX).clamp(1, self.config.page);
        let (audiences, part) = (caller.audiences(), (stretch.offset.min(OFFSET_MAX), size));
        let read = move |view: &dyn Read| page(view, &audiences, after.as_deref(), part);
        Ok(self.node.store().read(read).await?)
    }

    /// Returns the page in the words of the protocol.
    pub(crate) fn catalog_of(&self, page: &Page) -> Result<Catalog, Error> {
        let base = self.line.own_address()?;
        let service = DataService {
            id: format!("{NODE_PREFIX}{}:dsp", self.node.id()),
            endpoint_url: Some(base),
            endpoint_description: None,
        };
        let mut datasets = Vec::with_capacity(page.datasets.len());
        for dataset in &page.datasets {
            match self.describe(dataset) {
                Ok(described) => datasets.push(described),
                Err(error) => {
                    tracing::error!(dataset = dataset.id, "a dataset cannot be shown: {error}");
                }
            }
        }
        Ok(Catalog {
            id: format!("{NODE_PREFIX}{}:catalog", self.node.id()),
            participant_id: Some(format!("{NODE_PREFIX}{}", self.node.id())),
            datasets,
            services: vec![service],
            ..Catalog::default()
        })
    }

    /// Returns a dataset in the words of the protocol.
    pub(crate) fn describe(&self, dataset: &Dataset) -> Result<catalog::Dataset, Error> {
        // A member that has left its nation's list offers nothing any more.
        self.node.node_of(&dataset.provider)?;
        let assigner = participant_of(&dataset.provider);
        let id = offer_id(&dataset.policy).unwrap_or_default().to_owned();
        let offer = Offer {
            id,
            target: None,
            assigner: Some(assigner.clone()),
            assignee: None,
            wording: Wording::from_value(&dataset.policy)?,
        };
        let service = format!("{NODE_PREFIX}{}:dsp", self.node.id());
        let distribution = |format: &String| Distribution {
            format: format.clone(),
            access_service: AccessService::Id(service.clone()),
            offers: Vec::new(),
        };
        let kind = kind_text(&dataset.kind)?;
        let mut properties = Map::new();
        let mut put = |name: &str, text: String| properties.insert(name.to_owned(), text.into());
        put("title", dataset.title.clone());
        if let Some(description) = &dataset.description {
            put("description", description.clone());
        }
        put("publisher", assigner);
        put(KIND_MEMBER, kind);
        Ok(catalog::Dataset {
            id: dataset.id.clone(),
            offers: vec![offer],
            distributions: dataset.formats.iter().map(distribution).collect(),
            properties,
            problems: Vec::new(),
        })
    }

    /// Returns a dataset that a participant may see.
    pub(crate) async fn shown(
        &self,
        caller: &Participant,
        id: &str,
    ) -> Result<catalog::Dataset, Error> {
        let found = self.dataset(id).await?;
        let audiences = caller.audiences();
        let may = |dataset: &Dataset| dataset.visible_to.iter().any(|one| audiences.contains(one));
        let dataset = found.filter(may).ok_or_else(|| Error::unknown("dataset", id))?;
        self.describe(&dataset)
    }

    /// Asks a participant, or a node by its audience, for its whole catalog as `own` sees it, and
    /// follows its pages.
    pub async fn peer_catalog(&self, own: &MemberId, peer: &str) -> Result<Catalog, Error> {
        let address = &self.line.address_of(peer)?;
        let mut path = "/catalog/request".to_owned();
        let mut whole = Catalog::default();
        for _ in 0..PAGES_MAX {
            let body = to_vec(&CatalogRequest { id: None, filter: Vec::new() });
            let answer = self.question(own, address, peer, ("POST", &path), body).await?;
            let link = answer.headers().get(http::header::LINK).and_then(|link| link.to_str().ok());
            let next = link.and_then(|link| next_path(link, address));
            let page: Catalog = from_slice(answer.body())?;
            if whole.id.is_empty() {
                whole = page;
            } else {
                whole.datasets.extend(page.datasets);
                whole.problems.extend(page.problems);
            }
            match next {
                Some(next) if next != path => path = next,
                _ => break,
            }
        }
        Ok(whole)
    }

    /// Asks the provider's node for one dataset.
    pub async fn peer_dataset(
        &self,
        own: &MemberId,
        provider: &str,
        id: &str,
    ) -> Result<catalog::Dataset, Error> {
        let address = self.line.address_of(provider)?;
        let path = format!("/catalog/datasets/{}", crate::step::escape(Some(id)));
        let answer = self.question(own, &address, provider, ("GET", &path), Vec::new()).await?;
        Ok(from_slice(answer.body())?)
    }

    async fn question(
        &self,
        own: &MemberId,
        address: &str,
        audience: &str,
        (method, path): (&str, &str),
        body: Vec<u8>,
    ) -> Result<http::Response<bytes::Bytes>, Error> {
        let token = self.identity.token_for(&participant_of(own), audience, address)?;
        let parcel =
            Parcel { address, method, path, token: &token, headers: &[], body: body.into() };
        let answer = self.line.send(parcel).await?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_FOUND => Err(Error::unknown("dataset or catalog", path)),
            status => {
                let text =
                    String::from_utf8_lossy(answer.body()).chars().take(500).collect::<String>();
                let text = format!("{address} answered {status}: {text}");
                Err(Error::new(ErrorKind::PeerMisbehaved, "peer-refused", text))
            }
        }
    }
}

/// Writes what a dataset is, for a member of a message.
pub(crate) fn kind_text(kind: &Kind) -> Result<String, Error> {
    serde_json::to_string(kind).map_err(|error| Error::invalid("dataset", error.to_string()))
}

/// Reads what a dataset is from what its provider's catalog says.
pub fn kind_of(dataset: &catalog::Dataset) -> Option<Kind> {
    let text = dataset.properties.get(KIND_MEMBER).and_then(Value::as_str)?;
    serde_json::from_str(text).ok()
}

/// Takes all rows about a dataset's audiences away.
fn hide(tx: &mut dyn Tx, id: &str) -> Result<(), Error> {
    let range = Range::of("dataset", vec![id.into()], AUDIENCES_MAX);
    for shown in tx.select::<Shown>(&range)? {
        tx.remove::<Shown>(format!("{} {}", shown.audience, shown.dataset))?;
    }
    Ok(())
}

/// Returns the path of the next page from a `Link` header (RFC 8288), below the peer's base only.
fn next_path(link: &str, address: &str) -> Option<String> {
    let parts = link.split(',').map(str::trim);
    let next = parts
        .into_iter()
        .find(|part| part.contains("rel=\"next\"") || part.contains("rel=next"))?;
    let target = next.strip_prefix('<')?.split('>').next()?;
    let base = address.find("://").and_then(|at| address.get(at + 3..)).unwrap_or_default();
    let base = base.find('/').and_then(|at| base.get(at..)).unwrap_or_default();
    let path = target.strip_prefix(address).or_else(|| target.strip_prefix(base))?;
    path.starts_with('/').then(|| path.to_owned())
}

/// Makes the `Link` header of the next page.
pub(crate) fn next_link(address: &str, after: &str) -> String {
    let after = crate::step::escape(Some(after)).replace('&', "%26").replace('+', "%2B");
    format!("<{address}/catalog/request?after={after}>; rel=\"next\"")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_next_page_is_below_the_peers_base_only() {
        let base = "https://az.example:8443/dsp/2025-1";
        let check = |link: &str, expected: Option<&str>| {
            assert_eq!(next_path(link, base).as_deref(), expected, "{link}");
        };
        check(&next_link(base, "a b&c"), Some("/catalog/request?after=a%20b%26c"));
        check(
            r#"</dsp/2025-1/catalog/request?after=x>; rel="next""#,
            Some("/catalog/request?after=x"),
        );
        check(r#"<https://evil.example/x>; rel="next""#, None);
        check(r#"<https://az.example:8443/karvan/v1/list>; rel="next""#, None);
        check(r#"<x>; rel="previous""#, None);
    }

    #[test]
    fn queries_of_edc_are_understood_and_conditions_are_not() {
        let check = |filter: Value, expected: Option<Stretch>| {
            let read = Stretch::of_filter(filter.as_array().expect("a list"));
            assert_eq!(read.ok(), expected, "{filter}");
        };
        let stretch = |offset, limit| Some(Stretch { offset, limit });
        check(json!([]), stretch(0, None));
        let query = json!({ "@type": "QuerySpec", "limit": 50, "offset": 100, "sortOrder": "ASC",
                            "filterExpression": [] });
        check(json!([query]), stretch(100, Some(50)));
        check(json!([{ "filterExpression": [{ "operandLeft": "id" }] }]), None);
        check(json!([{ "sortField": "title" }]), None);
        check(json!([{ "limit": -1 }]), None);
        check(json!(["text"]), None);
        check(json!([{}, {}]), None);
    }
}
