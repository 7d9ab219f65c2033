//! Export declarations as stored: every version, and which certificates they quote.

use karvan_store::{Error, Index, Range, Record, Table, Tx, Value};
use karvan_types::{Instance, MemberId};
use serde::{Deserialize, Serialize};

use crate::certificate::{CertificateNumber, Delivery, Version};
use crate::edifact::TRANSPORT_DOCUMENTS;
use crate::messages::{ExportDeclaration, GoodsItem, PreviousDocument};
use crate::states::{ExportState, Status};
use crate::transport::{Named, document_name};

/// Most export declarations looked at for one certificate or consignment reference.
pub const CANDIDATES_MAX: usize = 50;

/// An export declaration with everything known about it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Export {
    /// Declaration number.
    pub number: String,
    /// The exporting nation.
    pub country: Instance,
    /// The customs service that signed it.
    pub sender: MemberId,
    /// Where it stands.
    pub status: Status<ExportState>,
    /// How far it has come.
    pub delivery: Delivery,
    /// Its versions, oldest first; never empty.
    pub versions: Vec<Version<ExportDeclaration>>,
}

/// Where export declarations are kept.
pub(crate) static EXPORTS: Table = Table {
    name: "customs_export",
    columns: &["country", "ucr", "state"],
    indexes: &[Index { name: "by_ucr", columns: &["ucr"], unique: false }],
};

impl Record for Export {
    const TABLE: &'static Table = &EXPORTS;

    fn key(&self) -> Value {
        self.id().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.country.as_str().into(),
            self.content().and_then(ucr_of).into(),
            self.state().into(),
        ]
    }
}

/// Returns the key of an export declaration.
pub fn export_key(country: Instance, number: &str) -> String {
    format!("{country}:{}", number.trim().to_ascii_uppercase())
}

/// Returns the transport documents of a declaration.
pub fn transport_documents(declaration: &ExportDeclaration) -> Vec<&PreviousDocument> {
    let shipment = &declaration.shipment;
    let of_items = shipment.items.iter().flat_map(|item| &item.previous_documents);
    let all = shipment.previous_documents.iter().chain(of_items);
    all.filter(|document| TRANSPORT_DOCUMENTS.contains(&document.type_code.as_str()))
        .take(CANDIDATES_MAX)
        .collect()
}

/// Returns the unique consignment reference of a declaration.
pub fn ucr_of(declaration: &ExportDeclaration) -> Option<&str> {
    declaration.shipment.ucr.as_ref().and_then(|ucr| ucr.id.as_deref())
}

impl Export {
    /// Returns its key: nation and declaration number.
    pub fn id(&self) -> String {
        export_key(self.country, &self.number)
    }

    /// Returns the content of the newest version.
    pub fn content(&self) -> Option<&ExportDeclaration> {
        self.versions.last().map(|version| &version.content)
    }

    /// Returns where it stands, in one word.
    pub const fn state(&self) -> &'static str {
        self.status.get().name()
    }

    /// Returns whether it was taken back.
    pub fn is_cancelled(&self) -> bool {
        self.status == ExportState::Cancelled
    }

    /// Stores the declaration and the certificates that its newest version quotes.
    pub fn store(&self, tx: &mut dyn Tx) -> Result<(), Error> {
        tx.save(self)?;
        for (number, _) in self.content().iter().flat_map(|content| quoted(content)) {
            let (certificate, export) = (number.key(self.country), self.id());
            tx.save(&Link { certificate, export })?;
        }
        let documents = self.content().map(transport_documents).unwrap_or_default();
        for document in documents {
            tx.save(&Named::new(document_name(&document.id), format!("export {}", self.id())))?;
        }
        Ok(())
    }

    /// Returns the item to compare with an item of a certificate: the one that quotes it under one
    /// of its numbers, or else one of the same code of six digits. The second value tells whether
    /// the declaration means that certificate: it quotes it, or it quotes none for these goods.
    pub fn item_for(
        &self,
        numbers: &[CertificateNumber],
        item: u32,
        hs6: &str,
    ) -> (Option<&GoodsItem>, bool) {
        let Some(content) = self.content() else { return (None, false) };
        let items = &content.shipment.items;
        let quotes = |goods: &&GoodsItem| {
            goods.certificates().any(|doc| {
                doc.line_numeric.is_none_or(|line| line == item)
                    && CertificateNumber::parse(&doc.id)
                        .is_ok_and(|quoted| numbers.iter().any(|n| n.normal == quoted.normal))
            })
        };
        let alike = |goods: &&GoodsItem| goods.commodity.hs6() == Some(hs6);
        let mut quoting = items.iter().filter(quotes);
        if let Some(goods) = quoting.clone().find(alike).or_else(|| quoting.next()) {
            return (Some(goods), true);
        }
        let mut same_code = items.iter().filter(alike);
        let silent = same_code.clone().find(|goods| goods.certificates().next().is_none());
        (silent.or_else(|| same_code.next()), silent.is_some())
    }
}

/// Returns the certificates that a declaration quotes, with the item of the declaration.
pub fn quoted(
    declaration: &ExportDeclaration,
) -> impl Iterator<Item = (CertificateNumber, &GoodsItem)> {
    declaration.shipment.items.iter().flat_map(|item| {
        let numbers = item.certificates().filter_map(|doc| CertificateNumber::parse(&doc.id).ok());
        numbers.map(move |number| (number, item))
    })
}

/// An export declaration quotes a certificate.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Link {
    /// Key of the certificate.
    pub certificate: String,
    /// Key of the export declaration.
    pub export: String,
}

/// Where these links are kept.
pub(crate) static LINKS: Table = Table {
    name: "customs_link",
    columns: &["certificate", "export"],
    indexes: &[Index { name: "by_certificate", columns: &["certificate"], unique: false }],
};

impl Record for Link {
    const TABLE: &'static Table = &LINKS;

    fn key(&self) -> Value {
        format!("{} {}", self.certificate, self.export).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.certificate.as_str().into(), self.export.as_str().into()]
    }
}

impl Link {
    /// Returns the range of links of one certificate.
    pub fn range(certificate: &str) -> Range {
        Range::of("by_certificate", vec![certificate.into()], CANDIDATES_MAX)
    }
}
