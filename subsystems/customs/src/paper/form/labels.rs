//! Every word that the form prints beside the certificate's own, in three languages.
//!
//! English always stands there; Azerbaijani or Urdu stands beside it.

use super::text::apart;
use crate::messages::{CertificateFlag, OriginCriterion};
use crate::words::Language;

/// A label in every language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    /// English.
    pub(super) en: &'static str,
    az: &'static str,
    ur: &'static str,
}

impl Label {
    const fn new(en: &'static str, az: &'static str, ur: &'static str) -> Self {
        Self { en, az, ur }
    }

    /// Returns the label in the second language; nothing when English stands alone.
    pub(super) const fn second(self, beside: Language) -> Option<&'static str> {
        match beside {
            Language::En => None,
            Language::Az => Some(self.az),
            Language::Ur => Some(self.ur),
        }
    }

    /// Returns English and the second language, on one line.
    pub(super) fn both(self, beside: Language) -> String {
        let second = self.second(beside).map(|text| format!(" / {}", apart(text)));
        format!("{}{}", self.en, second.unwrap_or_default())
    }

    /// Returns the label with a value after it.
    pub(super) fn with(self, beside: Language, value: &str) -> String {
        format!("{}: {}", self.both(beside), apart(value))
    }
}

pub(super) const TITLE: Label =
    Label::new("Certificate of origin", "Mənşə sertifikatı", "سرٹیفکیٹ آف اوریجن");
pub(super) const PREFERENTIAL: Label =
    Label::new("Preferential; agreement", "Preferensial; saziş", "ترجیحی؛ معاہدہ");
pub(super) const NUMBER: Label = Label::new("Number", "Nömrə", "نمبر");
pub(super) const FORM: Label = Label::new("Form", "Forma", "فارم");
pub(super) const VERSION: Label = Label::new("version", "versiya", "نسخہ");
pub(super) const PAGE: Label = Label::new("Page", "Səhifə", "صفحہ");
pub(super) const EXPORTER: Label = Label::new("1. Exporter", "İxracatçı", "برآمد کنندہ");
pub(super) const CONSIGNEE: Label = Label::new("2. Consignee", "Yükalan", "مال وصول کرنے والا");
pub(super) const PRODUCER: Label = Label::new("3. Producer", "İstehsalçı", "تیار کنندہ");
pub(super) const TRANSPORT: Label = Label::new(
    "4. Means of transport and route",
    "Nəqliyyat vasitəsi və marşrut",
    "ذریعۂ نقل و حمل اور راستہ",
);
pub(super) const OFFICIAL: Label =
    Label::new("5. For official use", "Rəsmi qeydlər üçün", "سرکاری استعمال کے لیے");
pub(super) const ITEM: Label = Label::new("6. Item", "Sıra", "مد");
pub(super) const PACKAGES: Label =
    Label::new("7. Packages, marks", "Yerlər, markalar", "پیکج، نشانات");
pub(super) const GOODS: Label =
    Label::new("8. Description of goods, codes", "Malların təsviri, kodlar", "مال کی تفصیل، کوڈ");
pub(super) const CRITERION: Label =
    Label::new("9. Origin criterion", "Mənşə meyarı", "مبدأ کا معیار");
pub(super) const QUANTITY: Label = Label::new(
    "10. Quantity, mass, FOB value",
    "Miqdar, kütlə, FOB dəyəri",
    "مقدار، وزن، ایف او بی مالیت",
);
pub(super) const INVOICES: Label = Label::new("11. Invoices", "Hesab-fakturalar", "انوائسیں");
pub(super) const REMARKS: Label = Label::new("12. Remarks", "Qeydlər", "ملاحظات");
pub(super) const ISSUED_BY: Label = Label::new("13. Issued by", "Verən orqan", "جاری کنندہ");
pub(super) const PLACE: Label = Label::new("Place", "Yer", "مقام");
pub(super) const DATE: Label = Label::new("Date of issue", "Verilmə tarixi", "تاریخ اجرا");
pub(super) const UNTIL: Label = Label::new("Valid until", "Etibarlıdır, son tarix", "کارآمد تا");
pub(super) const SIGNED: Label =
    Label::new("Signed in the code by", "Kodda imzalayan", "کوڈ میں دستخط کنندہ");
pub(super) const SAME: Label =
    Label::new("Same as exporter", "İxracatçı ilə eynidir", "برآمد کنندہ ہی");
pub(super) const ROUTE: Label = Label::new("Route", "Marşrut", "راستہ");
pub(super) const DEPARTURE: Label = Label::new("Departure", "Yola düşmə", "روانگی");
pub(super) const VEHICLE: Label = Label::new("Vehicle", "Nəqliyyat vasitəsi", "گاڑی");
pub(super) const CONTAINER: Label = Label::new("Container", "Konteyner", "کنٹینر");
pub(super) const ORIGIN: Label = Label::new("Origin", "Mənşə", "مبدأ");
pub(super) const NET: Label = Label::new("net", "xalis", "خالص");
pub(super) const GROSS: Label = Label::new("gross", "brutto", "مجموعی");
pub(super) const REPLACES: Label =
    Label::new("Replaces number", "Əvəz edir, nömrə", "اس نمبر کی جگہ");
pub(super) const CONTINUED: Label =
    Label::new("continued on a further page", "davamı növbəti səhifədə", "باقی اگلے صفحے پر");
pub(super) const MORE: Label =
    Label::new("further goods on the next page", "ardı növbəti səhifədə", "مزید مال اگلے صفحے پر");
pub(super) const GRANTED: Label =
    Label::new("Preference granted", "Preferensiya verilib", "رعایت دی گئی");
pub(super) const DENIED: Label = Label::new(
    "Preference not granted, reason",
    "Preferensiya verilməyib, səbəb",
    "رعایت نہیں دی گئی، وجہ",
);
pub(super) const SAMPLE: Label = Label::new("SAMPLE", "NÜMUNƏ", "نمونہ");
pub(super) const INVENTED: Label = Label::new("fictitious data", "uydurma məlumat", "فرضی معلومات");

/// How to check the code, in lines.
pub(super) const CHECKING: [Label; 2] = [
    Label::new(
        "The code is signed by the issuer. Check it offline: karvan customs check-qr. It proves \
         number, dates and content digest; the list of statuses tells whether it is still valid.",
        "Kodu verən orqan imzalayıb. Oflayn yoxlama: karvan customs check-qr. Kod nömrəni, \
         tarixləri və məzmunun heşini təsdiq edir; etibarlılığı status siyahısı göstərir.",
        "کوڈ پر جاری کنندہ کے دستخط ہیں۔ آف لائن جانچ: karvan customs check-qr۔ کوڈ نمبر، \
         تاریخیں اور متن کا ڈائجسٹ ثابت کرتا ہے؛ اب بھی کارآمد ہے یا نہیں، یہ حیثیت کی فہرست \
         بتاتی ہے۔",
    ),
    Label::new(
        "The code says nothing about this sheet: compare the boxes with the certificate itself.",
        "Kod bu vərəqin özünü təsdiq etmir: qrafaları sertifikatın özü ilə tutuşdurun.",
        "کوڈ اس ورق کی تصدیق نہیں کرتا: خانوں کا موازنہ خود سرٹیفکیٹ سے کریں۔",
    ),
];

/// Returns what a remark means.
pub(super) const fn flag(flag: CertificateFlag) -> Label {
    match flag {
        CertificateFlag::Retrospective => Label::new(
            "Issued retrospectively",
            "Göndərildikdən sonra verilib",
            "بعد از روانگی جاری شدہ",
        ),
        CertificateFlag::TrueCopy => {
            Label::new("Certified true copy", "Təsdiq edilmiş surət", "مصدقہ نقل")
        }
        CertificateFlag::ThirdPartyInvoice => Label::new(
            "Third-party invoice",
            "Üçüncü tərəfin hesab-fakturası",
            "تیسرے فریق کی انوائس",
        ),
        CertificateFlag::Cumulation => Label::new("Cumulation", "Kumulyasiya", "مجموعی مبدأ"),
        CertificateFlag::BackToBack => Label::new(
            "Back-to-back certificate",
            "Aralıq ölkənin sertifikatı",
            "بیک ٹو بیک سرٹیفکیٹ",
        ),
    }
}

/// Returns the criterion as the form writes it.
pub(super) const fn criterion(criterion: OriginCriterion) -> (&'static str, Label) {
    match criterion {
        OriginCriterion::WhollyObtained => {
            ("WO", Label::new("wholly obtained", "tam əldə edilmiş", "مکمل حاصل شدہ"))
        }
        OriginCriterion::RegionalValueContent => (
            "RVC",
            Label::new("regional value content", "regional dəyər payı", "علاقائی قدر کا حصہ"),
        ),
        OriginCriterion::ChangeOfHeading => {
            ("CTH", Label::new("change of heading", "mövqenin dəyişməsi", "ہیڈنگ کی تبدیلی"))
        }
        OriginCriterion::ChangeOfSubheading => (
            "CTSH",
            Label::new("change of subheading", "yarımmövqenin dəyişməsi", "ذیلی ہیڈنگ کی تبدیلی"),
        ),
        OriginCriterion::ProductSpecificRule => {
            ("PSR", Label::new("product-specific rule", "mala xas qayda", "مال کا مخصوص قاعدہ"))
        }
    }
}
