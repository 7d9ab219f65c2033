//! The error codes of X-Road 7.8 in both spellings.
//!
//! The older spelling of most codes is the same words in CamelCase; where X-Road used others, or
//! other capitals, the table has those. Codes that only a SOAP gateway, a signer or an archive
//! would raise are here so that every code a consumer may know can be told apart. The last two are
//! Karvan's own: X-Road knows neither quotas nor the shedding of load.

use super::Spelling;

/// Declares the codes once; type, list and names cannot drift apart.
macro_rules! codes {
    ($($name:ident $snake:literal $camel:literal)*) => {
        /// What happened, without the prefix that says where.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Code {
            $(
                #[doc = concat!("`", $snake, "`, formerly `", $camel, "`.")]
                $name,
            )*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            const fn names(self) -> [&'static str; 2] {
                match self {
                    $(Self::$name => [$snake, $camel],)*
                }
            }
        }
    };
}

codes! {
    IoError "io_error" "IOError"
    NetworkError "network_error" "NetworkError"
    InternalError "internal_error" "InternalError"
    BadRequest "bad_request" "BadRequest"
    NotFound "not_found" "NotFound"
    HttpError "http_error" "HttpError"
    UnknownHost "unknown_host" "UnknownHost"
    DatabaseError "database_error" "DatabaseError"
    InvalidRequest "invalid_request" "InvalidRequest"

    CannotCreateSignature "cannot_create_signature" "CannotCreateSignature"
    CertValidation "cert_validation" "CertValidation"
    IncorrectValidationInfo "incorrect_validation_info" "IncorrectValidationInfo"
    CannotCreateCertPath "cannot_create_cert_path" "CannotCreateCertPath"
    IncorrectCertificate "incorrect_certificate" "IncorrectCertificate"
    InvalidSignatureValue "invalid_signature_value" "InvalidSignatureValue"
    MalformedSignature "malformed_signature" "MalformedSignature"
    InvalidXml "invalid_xml" "InvalidXml"
    InvalidReference "invalid_reference" "InvalidReference"
    InvalidCertPath "invalid_cert_path" "InvalidCertPath"
    SignatureVerification "signature_verification" "SignatureVerification"
    InvalidHashChain "invalid_hash_chain" "InvalidHashChain"
    MalformedHashChain "malformed_hash_chain" "MalformedHashChain"
    HashChainUnusedInputs "hashchain_unused_inputs" "HashChainUnusedInputs"
    InvalidHashChainRef "invalid_hash_chain_ref" "InvalidHashChainRef"

    SslAuthenticationFailed "ssl_authentication_failed" "SslAuthenticationFailed"
    LoggingFailed "logging_failed" "LoggingFailed"
    TimestampingFailed "timestamping_failed" "TimestampingFailed"
    InvalidContentType "invalid_content_type" "InvalidContentType"
    InvalidSoapAction "invalid_soap_action" "InvalidSoapAction"
    InvalidHttpMethod "invalid_http_method" "InvalidHttpMethod"
    InvalidMessage "invalid_message" "InvalidMessage"
    InvalidSecurityServer "invalid_security_server" "InvalidSecurityServer"
    MimeParsingFailed "mime_parsing_failed" "MimeParsingFailed"
    MissingHeader "missing_header" "MissingHeader"
    MissingHeaderField "missing_header_field" "MissingHeaderField"
    DuplicateHeaderField "duplicate_header_field" "DuplicateHeaderField"
    MissingBody "missing_body" "MissingBody"
    InvalidBody "invalid_body" "InvalidBody"
    InconsistentHeaders "inconsistent_headers" "InconsistentHeaders"
    InconsistentResponse "inconsistent_response" "InconsistentResponse"
    MissingSoap "missing_soap" "MissingSoap"
    InvalidSoap "invalid_soap" "InvalidSoap"
    MissingRest "missing_rest" "MissingRest"
    AccessDenied "access_denied" "AccessDenied"
    ServiceDisabled "service_disabled" "ServiceDisabled"
    ServiceFailed "service_failed" "ServiceFailed"
    MissingSignature "missing_signature" "MissingSignature"
    UnknownService "unknown_service" "UnknownService"
    InvalidProtocolVersion "invalid_protocol_version" "InvalidProtocolVersion"
    InvalidClientIdentifier "invalid_client_identifier" "InvalidClientIdentifier"
    ServiceType "service_type" "ServiceType"
    ClientProxyVersionNotSupported
        "client_proxy_version_not_supported" "ClientProxyVersionNotSupported"
    MaintenanceMode "maintenance_mode" "MaintenanceMode"

    UnknownMember "unknown_member" "UnknownMember"
    MalformedServerConf "malformed_server_conf" "MalformedServerConf"
    MalformedGlobalConf "malformed_global_conf" "MalformedGlobalConf"
    GlobalConfOutdated "global_conf_outdated" "OutdatedGlobalConf"
    ServiceMissingUrl "service_missing_url" "ServiceMissingUrl"
    ServiceMalformedUrl "service_malformed_url" "ServiceMalformedUrl"

    KeyNotFound "key_not_found" "KeyNotFound"
    CertNotFound "cert_not_found" "CertNotFound"
    TokenNotActive "token_not_active" "TokenNotActive"
    CannotSign "cannot_sign" "CannotSign"
    HsmNonOperational "hsm_non_operational" "HsmNonOperational"
    TimestamperFailed "timestamper_failed" "TimestamperFailed"

    AsicInvalidContainer "asic_invalid_container" "AsicInvalidContainer"
    AsicMimeTypeNotFound "asic_mime_type_not_found" "AsicMimeTypeNotFound"
    AsicSignatureNotFound "asic_signature_not_found" "AsicSignatureNotFound"
    AsicMessageNotFound "asic_message_not_found" "AsicMessageNotFound"
    AsicInvalidMimeType "asic_invalid_mime_type" "AsicInvalidMimeType"
    AsicHashChainResultNotFound "asic_hash_chain_result_not_found" "AsicHashChainResultNotFound"
    AsicHashChainNotFound "asic_hash_chain_not_found" "AsicHashChainNotFound"
    AsicTimestampNotFound "asic_timestamp_not_found" "AsicTimestampNotFound"
    AsicManifestNotFound "asic_manifest_not_found" "AsicManifestNotFound"

    QuotaExceeded "quota_exceeded" "QuotaExceeded"
    Overloaded "overloaded" "Overloaded"
}

impl Code {
    /// Returns the code without a prefix.
    pub const fn as_str(self, spelling: Spelling) -> &'static str {
        let [snake, camel] = self.names();
        match spelling {
            Spelling::Snake => snake,
            Spelling::Camel => camel,
        }
    }

    /// Reads a code without a prefix.
    pub fn from_text(text: &str, spelling: Spelling) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str(spelling) == text)
    }
}
