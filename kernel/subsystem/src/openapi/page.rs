//! The reference of an interface as one HTML page for people.
//!
//! No script, no font, no image, nothing from elsewhere: it can be read on a machine without
//! network, printed, and served under the strictest content policy. Every text is escaped.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Deepest level of a schema that is shown; deeper ones are named.
const DEPTH_MAX: usize = 8;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8885;--soft:#8882;--get:#0a6;--post:#06c}\
body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;grid-template-columns:19rem 1fr}\
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1rem;box-sizing:border-box;\
border-right:1px solid var(--line);font-size:.9rem}\
nav ul{list-style:none;padding:0;margin:.2rem 0 1rem}nav a{text-decoration:none;color:inherit}\
nav a:hover,nav a:focus{text-decoration:underline}\
main{padding:1rem 2rem;max-width:60rem;min-width:0}\
section{border-top:1px solid var(--line);margin-top:2rem;padding-top:1rem}\
code,pre{font:.88rem/1.45 ui-monospace,monospace}code{background:var(--soft);padding:0 .2em}\
pre{background:var(--soft);padding:.8rem;overflow:auto;max-height:26rem}pre code{background:none}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;\
padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line)}\
.m{font-weight:700;text-transform:uppercase;font-size:.8rem}.get{color:var(--get)}\
.post{color:var(--post)}td small{display:block;opacity:.75}\
.r{color:#c40}summary{cursor:pointer}ul.s{padding-left:1.2rem}\
@media(max-width:50rem){body{display:block}nav{position:static;height:auto}}";

/// Writes the page of a document that [`super::document`] made.
pub fn page(document: &Value) -> String {
    let title = escape(text(&document["info"]["title"]));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n<nav aria-label=\"Operations\">"
    );
    let mut main = format!("<h1>{title}</h1>\n{}", prose(text(&document["info"]["description"])));
    let base = text(&document["servers"][0]["url"]);
    let _ = writeln!(
        main,
        "<p>All paths begin with <code>{}</code>. For programs: \
         <a href=\"openapi.json\">openapi.json</a> (OpenAPI {}).</p>",
        escape(base),
        escape(text(&document["openapi"]))
    );
    for group in document["tags"].as_array().into_iter().flatten() {
        let name = text(&group["name"]);
        let _ = write!(html, "<strong>{}</strong><ul>", escape(name));
        let _ = writeln!(main, "<h2>{}</h2>{}", escape(name), prose(text(&group["description"])));
        for (path, method, operation) in operations(document, name) {
            let id = escape(text(&operation["operationId"]));
            let summary = escape(text(&operation["summary"]));
            let _ = write!(html, "<li><a href=\"#{id}\">{summary}</a></li>");
            describe(document, path, method, operation, &mut main);
        }
        html.push_str("</ul>");
    }
    html.push_str("<strong>Schemas</strong><ul>");
    main.push_str("<h2>Schemas</h2>\n");
    for (name, schema) in object(&document["components"]["schemas"]) {
        let name = escape(name);
        let _ = write!(html, "<li><a href=\"#schema-{name}\">{name}</a></li>");
        let _ = writeln!(main, "<section id=\"schema-{name}\"><h3>{name}</h3>");
        schema_text(schema, 0, &mut main);
        main.push_str("</section>\n");
    }
    let _ = write!(html, "</ul></nav>\n<main>{main}</main></body></html>\n");
    html
}

/// The operations of a group, webhooks at the end.
fn operations<'a>(
    document: &'a Value,
    group: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
    let paths = object(&document["paths"]).chain(object(&document["webhooks"]));
    paths
        .flat_map(|(path, item)| object(item).map(move |(method, op)| (path, method, op)))
        .filter(move |(_, _, operation)| operation["tags"][0] == group)
}

fn describe(document: &Value, path: &str, method: &str, operation: &Value, out: &mut String) {
    let id = escape(text(&operation["operationId"]));
    let _ = writeln!(
        out,
        "<section id=\"{id}\"><h3>{}</h3><p><span class=\"m {method}\">{method}</span> \
         <code>{}</code></p>{}",
        escape(text(&operation["summary"])),
        escape(path),
        prose(text(&operation["description"]))
    );
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let parameters: Vec<&Value> = parameters.map(|p| resolve(document, p)).collect();
    if !parameters.is_empty() {
        out.push_str("<table><tr><th>Parameter</th><th>In</th><th>Meaning</th></tr>\n");
        for parameter in parameters {
            let needed =
                if parameter["required"] == true { " <span class=\"r\">needed</span>" } else { "" };
            let _ = writeln!(
                out,
                "<tr><td><code>{}</code>{needed}</td><td>{}</td><td>{} <small>{}</small></td></tr>",
                escape(text(&parameter["name"])),
                escape(text(&parameter["in"])),
                inline(text(&parameter["description"])),
                limits(&parameter["schema"])
            );
        }
        out.push_str("</table>\n");
    }
    for (media, body) in object(&operation["requestBody"]["content"]) {
        content(&format!("Body, <code>{}</code>", escape(media)), body, out);
    }
    for (status, answer) in object(&operation["responses"]) {
        let answer = resolve(document, answer);
        let about = inline(text(&answer["description"]));
        let found = object(&answer["content"]).next();
        if let (true, Some((_, found))) = (status.starts_with('2'), found) {
            content(&format!("Answer {status}: {about}"), found, out);
        } else {
            let _ = writeln!(out, "<p><code>{}</code> {about}</p>", escape(status));
        }
    }
    out.push_str("</section>\n");
}

fn content(head: &str, content: &Value, out: &mut String) {
    let _ = write!(out, "<h4>{head} ");
    if let Some(name) = schema_name(&content["schema"]) {
        let name = escape(name);
        let _ = write!(out, "(<a href=\"#schema-{name}\">{name}</a>)");
    }
    let example = serde_json::to_string_pretty(&content["example"]).unwrap_or_default();
    let _ = writeln!(
        out,
        "</h4><details open><summary>Example</summary><pre tabindex=\"0\"><code>{}</code></pre>\
         </details>",
        escape(&example)
    );
}

fn schema_text(schema: &Value, depth: usize, out: &mut String) {
    if let Some(about) = schema["description"].as_str() {
        out.push_str(&prose(about));
    }
    let _ = write!(out, "<p>{}</p>", limits(schema));
    for variant in ["oneOf", "anyOf"] {
        let variants = schema[variant].as_array().into_iter().flatten();
        let shown: Vec<String> = variants
            .map(|variant| match variant["const"].as_str() {
                Some(word) => format!(
                    "<li><code>{}</code> {}</li>",
                    escape(word),
                    inline(text(&variant["description"]))
                ),
                None => format!("<li>{}</li>", limits(variant)),
            })
            .collect();
        if !shown.is_empty() {
            let _ = writeln!(out, "<ul class=\"s\">{}</ul>", shown.concat());
        }
    }
    let needed: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if schema["properties"].is_object() && depth < DEPTH_MAX {
        out.push_str("<ul class=\"s\">\n");
        for (name, property) in object(&schema["properties"]) {
            let mark = if needed.contains(&name) { " <span class=\"r\">needed</span>" } else { "" };
            let _ = write!(out, "<li><code>{}</code>{mark} ", escape(name));
            schema_text(property, depth + 1, out);
            out.push_str("</li>\n");
        }
        out.push_str("</ul>\n");
    }
    if schema["items"].is_object() && schema_name(&schema["items"]).is_none() && depth < DEPTH_MAX {
        schema_text(&schema["items"], depth + 1, out);
    }
}

/// Type and bounds of a schema in a few words.
fn limits(schema: &Value) -> String {
    let mut words = Vec::new();
    if let Some(name) = schema_name(schema) {
        let name = escape(name);
        words.push(format!("<a href=\"#schema-{name}\">{name}</a>"));
    }
    match &schema["type"] {
        Value::String(kind) => words.push(escape(kind)),
        Value::Array(kinds) => {
            let kinds: Vec<_> = kinds.iter().map(|kind| escape(text(kind))).collect();
            words.push(kinds.join(" or "));
        }
        _ => {}
    }
    if let Some(name) = schema_name(&schema["items"]) {
        let name = escape(name);
        words.push(format!("of <a href=\"#schema-{name}\">{name}</a>"));
    }
    for (key, word) in [
        ("format", "as"),
        ("pattern", "matching"),
        ("minLength", "characters from"),
        ("maxLength", "characters up to"),
        ("minimum", "from"),
        ("maximum", "to"),
        ("maxItems", "items up to"),
        ("const", "always"),
    ] {
        if !schema[key].is_null() {
            let value = schema[key].as_str().map_or_else(|| schema[key].to_string(), str::to_owned);
            words.push(format!("{word} <code>{}</code>", escape(&value)));
        }
    }
    if let Some(choices) = schema["enum"].as_array() {
        let shown: Vec<_> =
            choices.iter().map(|word| format!("<code>{}</code>", escape(text(word)))).collect();
        words.push(format!("one of {}", shown.join(" ")));
    }
    words.join(", ")
}

fn schema_name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

/// Follows a reference into the components.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn object(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let members: Option<&Map<String, Value>> = value.as_object();
    members.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Markdown of descriptions: paragraphs and code; nothing else is used.
fn prose(markdown: &str) -> String {
    let mut html = String::new();
    for paragraph in markdown.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let _ = writeln!(html, "<p>{}</p>", inline(paragraph));
    }
    html
}

/// Writes a text with what stands between grave accents as code.
fn inline(markdown: &str) -> String {
    let mut html = String::new();
    for (index, part) in markdown.split('`').enumerate() {
        let part = escape(part);
        if index % 2 == 1 {
            let _ = write!(html, "<code>{part}</code>");
        } else {
            html.push_str(&part);
        }
    }
    html
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        let document = serde_json::json!({
            "openapi": "3.1.0",
            "info": { "title": "<script>", "description": "a `<b>` & \"c\"" },
            "servers": [{ "url": "/x" }],
            "tags": [{ "name": "T<i>", "description": "" }],
            "paths": { "/<p>": { "get": {
                "operationId": "x", "tags": ["T<i>"], "summary": "<s>", "description": "<d>",
                "responses": { "200": { "description": "<r>" } },
            } } },
            "components": { "schemas": { "A": { "type": "string", "pattern": "<z>" } } },
        });
        let html = page(&document);
        for tag in ["<script>", "<b>", "<i>", "<s>", "<d>", "<r>", "<z>", "/<p>"] {
            assert!(!html.contains(tag), "{tag} in {html}");
        }
        assert!(html.contains("<code>&lt;b&gt;</code> &amp; &quot;c&quot;"), "{html}");
    }
}
