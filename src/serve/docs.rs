//! The API's description as a page, for people.

use crate::analysis::window::MAX_HOURS;
use crate::report::export::Format;
use crate::report::icon_address;
use crate::serve::api::{ALL, ENDPOINTS, Endpoint, Parameter};
use crate::serve::limits::Rate;
use crate::serve::live::MESSAGES;
use crate::serve::openapi::stable;
use crate::serve::operations::LINES;

/// The page. All of its text is ours, so nothing needs escaping.
pub fn page() -> String {
    let rows: String = ENDPOINTS.iter().map(section).collect();
    let (version, icon) = (env!("CARGO_PKG_VERSION"), icon_address());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>dash API</title>\n\
         <link rel=\"icon\" href=\"{icon}\">\n<link rel=\"stylesheet\" href=\"docs.css\">\n</head>\n<body>\n<main>\n<h1>The API of dash {version}</h1>\n\
         <p>JSON over <code>GET</code>, each answer with an <code>ETag</code>. The same as an \
         <a href=\"openapi.json\">OpenAPI 3.1 document</a>. <a href=\"../\">Back to the site</a></p>\n\
         <section>\n<h2><code>POST /api/v1/operations</code></h2>\n<p>Report operations, as JSON, a JSON array or \
         one record a line (<code>{}</code>); may be packed with gzip. What is accepted is on the disk.</p>\n\
         <pre>curl -d '{EXAMPLE}' -H 'content-type: application/json' …/api/v1/operations</pre>\n</section>\n\
         {rows}{SESSIONS}{METRICS}{}</main>\n</body>\n</html>\n",
        LINES[0],
        live()
    )
}

const SESSIONS: &str = "\
<section>\n<h2><code>/api/v1/sessions</code></h2>\n<p>For admins: <code>GET</code> lists who is signed in, and \
<code>DELETE</code> ends the sessions of a user, open pages included.</p>\n\
<table>\n<tr><th>parameter</th><th>values</th><th></th></tr>\n\
<tr><td><code>user</code></td><td>text</td><td>With DELETE: whose sessions end</td></tr>\n</table>\n</section>\n";

const METRICS: &str = "\
<section>\n<h2><a href=\"../metrics\"><code>/metrics</code></a></h2>\n<p>Figures of dash and of the wrappers, for \
Prometheus.</p>\n</section>\n";

/// The frames of live updates: event, who says it, and what is in it.
pub const EVENTS: [(&str, &str, &str); 10] = [
    ("hello", "client", "snapshot: the id of the page in hand"),
    ("subscribe_metrics", "client", "wrapper: a name, or all"),
    ("unsubscribe_metrics", "client", "wrapper: a name, or all"),
    ("status", "daemon, on connect", "msg, snapshot, version"),
    (
        "refresh",
        "daemon, with each snapshot, and after a hello with an older one",
        "snapshot, generated_at, changed",
    ),
    ("metrics_broadcast", "daemon, with each snapshot", "system_health, timestamp"),
    ("metrics_update", "daemon, to subscribers", "wrapper, data, timestamp"),
    ("activity", "daemon, when there is any", "entries, timestamp"),
    (
        "notice",
        "daemon, while the site cannot be built or its settings are wrong, and when all is well again",
        "message, or null",
    ),
    ("error", "daemon, after a frame that it does not understand", "code, message"),
];

fn live() -> String {
    let row = |(event, way, about): &(&str, &str, &str)| {
        format!("<tr><td><code>{event}</code></td><td>{way}</td><td>{about}</td></tr>\n")
    };
    let rows: String = EVENTS.iter().map(row).collect();
    let Rate { per_second, at_once } = MESSAGES;
    format!(
        "<section>\n<h2><code>/ws</code></h2>\n<p>Live updates: a WebSocket of JSON text frames, each an object with \
         its <code>event</code>. Who says more than {per_second} of them a second, and {at_once} \
         at once, is sent away with 1008.</p>\n<table>\n<tr><th>event</th><th>said by</th><th>with</th></tr>\n{rows}</table>\n\
         </section>\n"
    )
}

/// A report, as short as one may be.
const EXAMPLE: &str =
    "{\"wrapper_name\": \"RouteLLM\", \"end_time\": \"2026-01-25T12:58:53Z\", \"duration_ms\": 412.5}";

fn section(endpoint: &Endpoint) -> String {
    let path = stable(endpoint.path);
    let shown = match endpoint.path.contains('{') {
        true => format!("<code>{path}</code>"),
        false => format!("<a href=\"..{path}\"><code>{path}</code></a>"),
    };
    let rows: String = endpoint.parameters.iter().map(parameter_row).collect();
    let table = match rows.is_empty() {
        true => String::new(),
        false => format!("<table>\n<tr><th>parameter</th><th>values</th><th></th></tr>\n{rows}</table>\n"),
    };
    format!("<section>\n<h2>{shown}</h2>\n<p>{}</p>\n{table}</section>\n", endpoint.summary)
}

fn parameter_row(parameter: &Parameter) -> String {
    let values = match parameter {
        Parameter::Format => Format::ALL.map(Format::word).join(", "),
        Parameter::Hours(Some(hours)) => format!("1 to {MAX_HOURS}; {hours} where not given"),
        Parameter::Hours(None) => format!("1 to {MAX_HOURS}"),
        Parameter::Name => "text, percent-encoded".to_owned(),
        Parameter::Wrapper => format!("text; {ALL} where not given"),
    };
    let about = parameter.about().replace('`', "");
    format!("<tr><td><code>{}</code></td><td>{values}</td><td>{about}</td></tr>\n", parameter.name())
}

/// The look of the page.
pub const STYLE: &str = "\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; }
h2 { font-size: 1.05rem; margin: 2rem 0 .25rem; overflow-wrap: anywhere; }
pre { overflow-x: auto; }
p { margin: .25rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); vertical-align: top; }
a { color: LinkText; }
";
