//! The rules that settings keep.

use karvan_subsystem::Pointer;
use karvan_trust::tls::upstream::check_authorities;
use karvan_xroad::access::Rights;
use karvan_xroad::metadata::is_reserved;
use karvan_xroad::metadata::openapi::DESCRIPTION_BYTES_MAX;

use super::{
    ClientAccess, Duration, ErrorKind, Rejection, Service, ServiceKind, ServiceUrl, TIMEOUT_MAX,
    is_url,
};

/// Longest service code, in bytes.
const CODE_BYTES_MAX: usize = 255;
/// Longest notice of a service that is not enabled, in bytes.
const NOTICE_BYTES_MAX: usize = 1_000;
/// Most endpoints of a service.
const ENDPOINTS_MAX: usize = 2_000;
/// Most connections that may be allowed to one system.
const CONNECTIONS_MAX: u32 = 1_024;
/// Most certificates of one client.
const CERTIFICATES_MAX: usize = 64;
/// Characters that X-Road advises against in a code, beside control characters.
const NOT_IN_CODE: [char; 6] = ['/', '\\', '%', ':', ';', '\u{feff}'];

fn broken(field: &str, rule: impl Into<String>, remedy: impl Into<String>) -> Rejection {
    let (rule, remedy) = (rule.into(), remedy.into());
    let text = format!("`{field}` {rule}; {remedy}");
    let pointer = Pointer { pointer: format!("/{field}"), rule, remedy };
    Rejection::new(ErrorKind::Invalid, "setting-refused", text).with_pointers(vec![pointer])
}

impl Service {
    /// Checks every rule that a service must keep before it is stored.
    pub fn check(&self) -> Result<(), Rejection> {
        self.check_name()?;
        ServiceUrl::parse(&self.base_url).map_err(|error| {
            let rule = match error {
                karvan_xroad::Error::ServiceUrl { rule } => format!("is malformed: {rule}"),
                other => other.to_string(),
            };
            broken("baseUrl", rule, "write such as https://10.0.0.5:8443/api")
        })?;
        if self.timeout < Duration::from_millis(1) || self.timeout > TIMEOUT_MAX {
            return Err(broken("timeoutMs", "is 1 to 600000 milliseconds", "choose one of these"));
        }
        if self.connect_timeout < Duration::from_millis(1) || self.connect_timeout > TIMEOUT_MAX {
            let rule = "is 1 to 600000 milliseconds";
            return Err(broken("connectTimeoutMs", rule, "choose one of these"));
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections_max) {
            return Err(broken("connectionsMax", "is 1 to 1024", "choose one of these"));
        }
        if self.notice.as_ref().is_some_and(|notice| notice.len() > NOTICE_BYTES_MAX) {
            return Err(broken("notice", "has at most 1000 bytes", "shorten it"));
        }
        if let Some(pem) = &self.authorities {
            let remedy = "give the authority's certificate, or leave it out for the system's own";
            check_authorities(pem)
                .map_err(|error| broken("authorities", error.to_string(), remedy))?;
        }
        if let ServiceKind::OpenApi { description } = &self.kind {
            check_description(description)?;
        }
        if self.endpoints.len() > ENDPOINTS_MAX {
            return Err(broken("endpoints", "holds at most 2000", "join some with `*` or `**`"));
        }
        Rights::compile(&self.endpoints).map_err(|error| {
            broken("endpoints", error.to_string(), "write a method or `*`, and a path pattern")
        })?;
        Ok(())
    }

    fn check_name(&self) -> Result<(), Rejection> {
        if self.member.as_str().split('/').count() != 4 {
            let remedy = "name the subsystem that provides it, such as PK/GOV/FBR/customs";
            return Err(broken("member", "is a subsystem", remedy));
        }
        let fits = |letter: char| {
            !letter.is_control() && letter != '\u{200b}' && !NOT_IN_CODE.contains(&letter)
        };
        let code = self.code.as_str();
        if !(1..=CODE_BYTES_MAX).contains(&code.len())
            || !code.chars().all(fits)
            || matches!(code, "." | "..")
        {
            let rule = "is 1 to 255 bytes without control characters and / \\ % : ;";
            return Err(broken("code", rule, "use letters, digits, dot, underscore, hyphen"));
        }
        if is_reserved(code) {
            let rule = format!("is not `{code}`, which X-Road keeps for itself");
            return Err(broken("code", rule, "choose another code"));
        }
        Ok(())
    }
}

fn check_description(description: &str) -> Result<(), Rejection> {
    let field = "kind/description";
    if is_url(description) {
        let url = description.split('?').next().unwrap_or_default();
        let parsed = ServiceUrl::parse(url);
        return parsed.map(|_| ()).map_err(|error| {
            broken(field, error.to_string(), "write the address of an OpenAPI 3 description")
        });
    }
    if description.len() > DESCRIPTION_BYTES_MAX {
        return Err(broken(field, "has at most 4 MiB", "shorten it, or give its address"));
    }
    karvan_xroad::metadata::openapi::reduce(description.as_bytes()).map(|_| ()).map_err(|error| {
        broken(field, error.to_string(), "give an OpenAPI 3 description, or its address")
    })
}

impl ClientAccess {
    /// Checks every rule that a client's settings must keep before they are stored.
    pub fn check(&self) -> Result<(), Rejection> {
        if self.certificates.len() > CERTIFICATES_MAX {
            return Err(broken("certificates", "holds at most 64", "remove old ones"));
        }
        Ok(())
    }
}
