//! Every word that the form prints beside the certificate's own, in English and Azerbaijani.

use crate::messages::{CertificateFlag, OriginCriterion};

/// A label in both languages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    /// English.
    pub(super) en: &'static str,
    /// Azerbaijani.
    pub(super) az: &'static str,
}

impl Label {
    const fn new(en: &'static str, az: &'static str) -> Self {
        Self { en, az }
    }

    /// Returns both, on one line.
    pub(super) fn both(self) -> String {
        format!("{} / {}", self.en, self.az)
    }
}

pub(super) const TITLE: Label = Label::new("Certificate of origin", "Mənşə sertifikatı");
pub(super) const PREFERENTIAL: Label = Label::new("Preferential; agreement", "Preferensial; saziş");
pub(super) const NUMBER: Label = Label::new("Number", "Nömrə");
pub(super) const FORM: Label = Label::new("Form", "Forma");
pub(super) const VERSION: Label = Label::new("version", "versiya");
pub(super) const PAGE: Label = Label::new("Page", "Səhifə");
pub(super) const EXPORTER: Label = Label::new("1. Exporter", "İxracatçı");
pub(super) const CONSIGNEE: Label = Label::new("2. Consignee", "Yükalan");
pub(super) const PRODUCER: Label = Label::new("3. Producer", "İstehsalçı");
pub(super) const TRANSPORT: Label =
    Label::new("4. Means of transport and route", "Nəqliyyat vasitəsi və marşrut");
pub(super) const OFFICIAL: Label = Label::new("5. For official use", "Rəsmi qeydlər üçün");
pub(super) const ITEM: Label = Label::new("6. Item", "Sıra");
pub(super) const PACKAGES: Label = Label::new("7. Packages, marks", "Yerlər, markalar");
pub(super) const GOODS: Label =
    Label::new("8. Description of goods, codes", "Malların təsviri, kodlar");
pub(super) const CRITERION: Label = Label::new("9. Origin criterion", "Mənşə meyarı");
pub(super) const QUANTITY: Label =
    Label::new("10. Quantity, mass, FOB value", "Miqdar, kütlə, FOB dəyəri");
pub(super) const INVOICES: Label = Label::new("11. Invoices", "Hesab-fakturalar");
pub(super) const REMARKS: Label = Label::new("12. Remarks", "Qeydlər");
pub(super) const ISSUED_BY: Label = Label::new("13. Issued by", "Verən orqan");
pub(super) const PLACE: Label = Label::new("Place", "Yer");
pub(super) const DATE: Label = Label::new("Date of issue", "Verilmə tarixi");
pub(super) const UNTIL: Label = Label::new("Valid until", "Etibarlıdır, son tarix");
pub(super) const SIGNED: Label = Label::new("Signed in the code by", "Kodda imzalayan");
pub(super) const SAME: Label = Label::new("Same as exporter", "İxracatçı ilə eynidir");
pub(super) const ROUTE: Label = Label::new("Route", "Marşrut");
pub(super) const DEPARTURE: Label = Label::new("Departure", "Yola düşmə");
pub(super) const VEHICLE: Label = Label::new("Vehicle", "Nəqliyyat vasitəsi");
pub(super) const CONTAINER: Label = Label::new("Container", "Konteyner");
pub(super) const ORIGIN: Label = Label::new("Origin", "Mənşə");
pub(super) const NET: Label = Label::new("net", "xalis");
pub(super) const GROSS: Label = Label::new("gross", "brutto");
pub(super) const REPLACES: Label = Label::new("Replaces number", "Əvəz edir, nömrə");
pub(super) const CONTINUED: Label =
    Label::new("continued on a further page", "davamı növbəti səhifədə");
pub(super) const MORE: Label =
    Label::new("further goods on the next page", "ardı növbəti səhifədə");
pub(super) const GRANTED: Label = Label::new("Preference granted", "Preferensiya verilib");
pub(super) const DENIED: Label =
    Label::new("Preference not granted, reason", "Preferensiya verilməyib, səbəb");
pub(super) const SAMPLE: Label = Label::new("SAMPLE", "NÜMUNƏ");
pub(super) const INVENTED: Label = Label::new("fictitious data", "uydurma məlumat");

/// How to check the code, in lines.
pub(super) const CHECKING: [Label; 2] = [
    Label::new(
        "The code is signed by the issuer. Check it offline: karvan customs check-qr. It proves \
         number, dates and content digest; the list of statuses tells whether it is still valid.",
        "Kodu verən orqan imzalayıb. Oflayn yoxlama: karvan customs check-qr. Kod nömrəni, \
         tarixləri və məzmunun heşini təsdiq edir; etibarlılığı status siyahısı göstərir.",
    ),
    Label::new(
        "The code says nothing about this sheet: compare the boxes with the certificate itself.",
        "Kod bu vərəqin özünü təsdiq etmir: qrafaları sertifikatın özü ilə tutuşdurun.",
    ),
];

/// Returns what a remark means.
pub(super) const fn flag(flag: CertificateFlag) -> Label {
    match flag {
        CertificateFlag::Retrospective => {
            Label::new("Issued retrospectively", "Göndərildikdən sonra verilib")
        }
        CertificateFlag::TrueCopy => Label::new("Certified true copy", "Təsdiq edilmiş surət"),
        CertificateFlag::ThirdPartyInvoice => {
            Label::new("Third-party invoice", "Üçüncü tərəfin hesab-fakturası")
        }
        CertificateFlag::Cumulation => Label::new("Cumulation", "Kumulyasiya"),
        CertificateFlag::BackToBack => {
            Label::new("Back-to-back certificate", "Aralıq ölkənin sertifikatı")
        }
    }
}

/// Returns the criterion as the form writes it.
pub(super) const fn criterion(criterion: OriginCriterion) -> (&'static str, Label) {
    match criterion {
        OriginCriterion::WhollyObtained => {
            ("WO", Label::new("wholly obtained", "tam əldə edilmiş"))
        }
        OriginCriterion::RegionalValueContent => {
            ("RVC", Label::new("regional value content", "regional dəyər payı"))
        }
        OriginCriterion::ChangeOfHeading => {
            ("CTH", Label::new("change of heading", "mövqenin dəyişməsi"))
        }
        OriginCriterion::ChangeOfSubheading => {
            ("CTSH", Label::new("change of subheading", "yarımmövqenin dəyişməsi"))
        }
        OriginCriterion::ProductSpecificRule => {
            ("PSR", Label::new("product-specific rule", "mala xas qayda"))
        }
    }
}
