//! The page at `/`: what its answers may do in a browser, what it wants without a key, and its form without JavaScript.

use std::collections::BTreeSet;

use futures::future::join_all;
use html5gum::{Token, Tokenizer};
use http::{Method, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tandem::api::call::Access;
use tandem::api::http::routes;
use tandem::api::offers::Offer;

use crate::support::http::Answer;
use crate::support::{HttpClient, TestServer};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const TOKENS: &str = "many:0123456789abcdef,one:fedcba9876543210 texts_per_second=1 burst=1";

/// A tag of a page with its attributes.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The tags of a page, and its text, as a browser reads them.
fn read(html: &str) -> (Vec<Tag>, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (mut tags, mut told) = (Vec::new(), String::new());
    for Ok(token) in Tokenizer::new(html) {
        match token {
            Token::StartTag(tag) => tags.push(Tag {
                name: text(&tag.name),
                attributes: tag
                    .attributes
                    .iter()
                    .map(|(name, value)| (text(name), text(value)))
                    .collect(),
            }),
            Token::String(string) => told.push_str(&text(&string)),
            _ => {}
        }
    }
    (tags, told)
}

/// Posts the form.
async fn post(http: &HttpClient, headers: &[(&str, &str)], form: &str) -> Answer {
    let headers: Vec<_> = std::iter::once(FORM).chain(headers.iter().copied()).collect();
    http.send(Method::POST, "/page", &headers, form.to_owned()).await
}

/// A value as browsers write it.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn assert_guarded(answer: &Answer) {
    let policy = answer.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
        "{policy}"
    );
    for part in [
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "trusted-types 'none'",
    ] {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'),
        "{policy}"
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert_eq!(answer.header("referrer-policy"), "same-origin");
    assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
}

/// Nothing of a page is a script or a style but what comes from its own server.
fn assert_nothing_inline(tags: &[Tag]) {
    for tag in tags {
        assert_ne!(tag.name, "style");
        assert!(tag.name != "script" || tag.get("src").is_some());
        for (name, value) in &tag.attributes {
            assert!(!name.starts_with("on") && name != "style", "{name} of {}", tag.name);
            assert!(
                !["src", "href", "action"].contains(&name.as_str()) || !value.contains(':'),
                "{value}"
            );
        }
    }
}

/// The files that a text of the page's own names, by their paths.
fn named(text: &str) -> BTreeSet<String> {
    let parts = text.split(['"', '\'']);
    let names = parts.filter_map(|part| part.strip_prefix("./").or(part.strip_prefix("page/")));
    let files = names.filter(|name| [".js", ".css", ".svg"].iter().any(|end| name.ends_with(end)));
    files.map(|name| format!("/page/{name}")).collect()
}

#[tokio::test]
async fn the_page_and_all_its_files_are_there_and_name_no_other_place() {
    let http = TestServer::shared().await.http();
    let index = http.get("/").await;
    assert_eq!(
        (index.status.as_u16(), index.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert_guarded(&index);
    let (tags, told) = read(index.text());
    assert_nothing_inline(&tags);
    assert!(told.contains("Classify"));
    let mut found = BTreeSet::new();
    let mut to_do: Vec<String> = named(index.text()).into_iter().collect();
    while let Some(path) = to_do.pop() {
        if !found.insert(path.clone()) {
            continue;
        }
        let file = http.get(&path).await;
        assert_eq!(file.status.as_u16(), 200, "{path}");
        assert_guarded(&file);
        let kind = match path.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(file.header("content-type"), kind, "{path}");
        // The name of SVG is no place.
        let text = file.text().replace("http://www.w3.org/2000/svg", "");
        assert!(
            !text.contains("://") && !text.contains("innerHTML") && !text.contains("eval("),
            "{path}"
        );
        to_do.extend(named(&text));
    }
    assert!(found.len() >= 10, "{found:?}");
    let none = http.get("/page/other.js").await;
    assert_eq!(none.status.as_u16(), 404);
}

#[tokio::test]
async fn what_has_a_label_has_one_and_ids_are_named_once() {
    let index = TestServer::shared().await.http().get("/").await;
    let (tags, _) = read(index.text());
    let ids: Vec<&str> = tags.iter().filter_map(|tag| tag.get("id")).collect();
    let once: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(once.len(), ids.len(), "{ids:?}");
    for attribute in ["for", "aria-labelledby", "aria-controls"] {
        for id in tags.iter().filter_map(|tag| tag.get(attribute)) {
            assert!(once.contains(id), "{attribute}={id}");
        }
    }
    let labelled: BTreeSet<&str> = tags.iter().filter_map(|tag| tag.get("for")).collect();
    for tag in &tags {
        let own = ["input", "textarea", "select"].contains(&tag.name.as_str());
        let inside_its_label = ["radio", "checkbox"].contains(&tag.get("type").unwrap_or_default());
        assert!(!own || inside_its_label || labelled.contains(tag.get("id").unwrap_or_default()));
    }
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again_and_what_it_takes_is_packed() {
    let http = TestServer::shared().await.http();
    for path in ["/", "/page/main.js"] {
        let plain = http.get(path).await;
        assert_eq!(plain.header("cache-control"), "no-cache");
        assert_eq!(plain.header("vary"), "accept-encoding");
        let tag = plain.header("etag").to_owned();
        let known = http.send(Method::GET, path, &[("if-none-match", &tag)], "").await;
        assert_eq!((known.status.as_u16(), known.body.len()), (304, 0), "{path}");
        assert_eq!(known.header("etag"), tag);
        let other = http
            .send(Method::GET, path, &[("if-none-match", "\"other\"")], "")
            .await;
        assert_eq!(other.status.as_u16(), 200);
        let packed = http
            .send(Method::GET, path, &[("accept-encoding", "br, gzip")], "")
            .await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert_eq!(packed.header("etag"), tag);
        let mut unpacked = Vec::new();
        std::io::copy(&mut flate2::read::GzDecoder::new(&*packed.body), &mut unpacked).expect("gzip");
        assert_eq!(unpacked, plain.body);
        let head = http.send(Method::HEAD, path, &[], "").await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    }
}

/// Over HTTP/2 a browser asks for all files at once, on one connection. Together they are more than what is kept for calls
/// that are open to all.
#[tokio::test]
async fn all_files_come_at_once_over_one_connection() {
    let server = TestServer::shared().await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let ask = |path: String| {
        let uri = format!("http://{}{path}", server.http_addr());
        let request = Request::get(uri)
            .version(Version::HTTP_2)
            .body(Full::<bytes::Bytes>::default());
        let asked = client.request(request.expect("a request"));
        async move { asked.await.expect("an answer") }
    };
    let index = ask("/".into()).await.collect().await.expect("a page").to_bytes();
    let main = ask("/page/main.js".into())
        .await
        .collect()
        .await
        .expect("a file")
        .to_bytes();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let paths: Vec<String> = named(&text(&index)).into_iter().chain(named(&text(&main))).collect();
    // The heads of all before the body of any.
    let answers = join_all(paths.iter().cycle().take(64).cloned().map(ask)).await;
    let mut bytes = 0;
    for answer in answers {
        assert_eq!(answer.status().as_u16(), 200);
        bytes += answer.collect().await.expect("a file").to_bytes().len();
    }
    assert!(bytes > 100_000, "{bytes}");
}

#[tokio::test]
async fn it_can_be_turned_off_and_is_then_no_more_open_than_any_path() {
    let off = |tokens: &'static str| {
        let builder = TestServer::builder().fast_only().with(|settings| {
            settings.no_page = true;
            // Another protocol has a path of that name.
            settings.no_tei = true;
        });
        if tokens.is_empty() {
            builder
        } else {
            builder.tokens(tokens)
        }
    };
    let server = off("").start().await;
    let keyed = off(TOKENS).start().await;
    for path in ["/", "/page", "/page/main.js", "/page/server.json"] {
        let answer = server.http().get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (404, "METHOD_NOT_FOUND"),
            "{path}"
        );
        let answer = keyed.http().get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (401, "UNAUTHENTICATED"),
            "{path}"
        );
    }
    assert_eq!(post(&server.http(), &[], "text=a").await.status.as_u16(), 404);
}

#[tokio::test]
async fn the_port_for_operators_has_no_page() {
    let server = TestServer::builder()
        .fast_only()
        .tokens(TOKENS)
        .metrics_port()
        .start()
        .await;
    let operators = HttpClient::new(server.metrics_addr());
    assert_eq!(operators.get("/").await.reason(), "UNAUTHENTICATED");
}

#[tokio::test]
async fn with_keys_everybody_may_read_it_and_nobody_may_ask_without_one() {
    let open: BTreeSet<String> = routes::all()
        .filter(|route| route.access == Access::Open && route.offer == Some(Offer::Page))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let known = ["GET /", "GET /page", "GET /page/server.json", "GET /page/{file}"].map(str::to_owned);
    assert_eq!(open, known.into());
    let server = TestServer::builder().fast_only().tokens(TOKENS).start().await;
    let http = server.http();
    for path in ["/", "/page/style.css", "/page/main.js"] {
        assert_eq!(http.get(path).await.status.as_u16(), 200, "{path}");
    }
    let facts = http.get("/page/server.json").await;
    assert_guarded(&facts);
    assert_eq!(facts.header("cache-control"), "no-store");
    let facts = facts.json();
    assert_eq!(facts["keys"], true);
    assert_eq!(facts["grpcPort"], server.grpc_addr().port());
    assert_eq!(facts["maxTextCount"], 128);

    let refused = post(&http, &[], "text=a").await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("www-authenticate")),
        (401, "Bearer")
    );
    assert_guarded(&refused);
    let (_, told) = read(refused.text());
    assert!(
        told.contains("UNAUTHENTICATED") && told.contains("This server wants a key"),
        "{told}"
    );
    let key = [("authorization", "Bearer 0123456789abcdef")];
    assert_eq!(post(&http, &key, "text=a").await.status.as_u16(), 200);
    // The key's rate: one text at once.
    let key = [("authorization", "Bearer fedcba9876543210")];
    let limited = post(&http, &key, "text=a%0D%0Ab&lines=on").await;
    assert_eq!(limited.status.as_u16(), 429);
    assert!(read(limited.text()).1.contains("RATE_LIMITED"));
    let metrics = server.service.metrics().text();
    let counted = metrics.lines().filter(|line| line.contains("method=\"/page\""));
    let counted: Vec<&str> = counted.collect();
    for outcome in ["OK", "UNAUTHENTICATED", "RATE_LIMITED"] {
        assert!(
            counted.iter().any(|line| line.contains(&format!("\"{outcome}\""))),
            "{outcome}: {counted:?}"
        );
    }
}

#[tokio::test]
async fn the_form_is_answered_as_the_api_answers() {
    let http = TestServer::shared().await.http();
    let texts = ["정말 재미있게 봤어요", "시간이 아까운 영화", "그저 그랬다"];
    for (route, name) in [
        ("fast", "ROUTE_FAST"),
        ("deep", "ROUTE_DEEP"),
        ("cascade", "ROUTE_CASCADE"),
    ] {
        let form = format!(
            "text={}&lines=on&route={route}&task=&min_confidence=",
            encoded(&texts.join("\r\n\r\n"))
        );
        let page = post(&http, &[], &form).await;
        assert_eq!((page.status.as_u16(), page.header("cache-control")), (200, "no-store"));
        assert_guarded(&page);
        let question = serde_json::json!({ "texts": texts, "route": name });
        let api = http.post("/v1/predict", question.to_string()).await.json();
        let (tags, told) = read(page.text());
        assert_nothing_inline(&tags);
        let meters: Vec<f32> = tags
            .iter()
            .filter(|tag| tag.name == "meter")
            .map(|tag| tag.get("value").expect("a value").parse().expect("a number"))
            .collect();
        let known: Vec<f32> = api["predictions"]
            .as_array()
            .expect("answers")
            .iter()
            .map(|prediction| prediction["confidence"].as_f64().expect("a number") as f32)
            .collect();
        assert_eq!(meters.len(), texts.len());
        for (shown, known) in meters.iter().zip(&known) {
            // Batches of the deep model may differ in the last digits.
            assert!((shown - known).abs() < 1e-3, "{meters:?} {known:?}");
        }
        for prediction in api["predictions"].as_array().expect("answers") {
            assert!(told.contains(prediction["label"].as_str().expect("a label")));
        }
        assert!(texts.iter().all(|text| told.contains(text)));
        // What was chosen stays chosen.
        let chosen = tags
            .iter()
            .find(|tag| tag.get("type") == Some("radio") && tag.get("checked").is_some());
        assert_eq!(chosen.and_then(|tag| tag.get("value")), Some(route));
    }
    // All of it as one text.
    let whole = post(&http, &[], "text=a%0D%0Ab&route=fast").await;
    let (tags, _) = read(whole.text());
    assert_eq!(tags.iter().filter(|tag| tag.name == "meter").count(), 1);
}

#[tokio::test]
async fn a_text_stays_a_text() {
    let http = TestServer::shared().await.http();
    for hostile in [
        "</textarea><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "\"><svg onload=alert(1)>",
        "&lt;b&gt; <!-- ]]> --> \u{202e}\u{0}\u{2028}",
        "\n\nfirst lines are empty",
    ] {
        let fields = [("text", "fast"), ("text", ""), ("text", "cascade")];
        for (field, route) in fields {
            let form = format!("{field}={}&route={route}", encoded(hostile));
            let page = post(&http, &[], &form).await;
            assert_eq!(page.status.as_u16(), 200);
            let (tags, told) = read(page.text());
            assert_nothing_inline(&tags);
            assert!(
                !tags
                    .iter()
                    .any(|tag| ["script", "svg", "b"].contains(&tag.name.as_str()))
            );
            assert!(
                told.contains(hostile.trim_start_matches('\n').split('\u{0}').next().expect("a part")),
                "{told}"
            );
        }
    }
    // The other fields come back in an error, or as the value of an attribute.
    let hostile = encoded("\"><script>alert(1)</script>");
    for form in [
        format!("text=a&task={hostile}"),
        format!("text=a&route={hostile}"),
        format!("text=a&min_confidence={hostile}"),
        format!("{hostile}=a"),
    ] {
        let page = post(&http, &[], &form).await;
        assert!([400, 404].contains(&page.status.as_u16()), "{form}");
        let (tags, _) = read(page.text());
        assert_nothing_inline(&tags);
        assert!(!tags.iter().any(|tag| tag.name == "script"));
    }
}

#[tokio::test]
async fn a_form_that_is_none_or_too_large_is_refused_with_its_reason() {
    let http = TestServer::shared().await.http();
    let lines = |count: usize| format!("text={}&lines=on&route=fast", "a%0D%0A".repeat(count));
    let long = format!("text={}&route=fast", "a".repeat(16 * 1024 + 1));
    let largest = 64 * 1024;
    let whole = |bytes: usize| {
        let ends = (bytes - 5) / 3;
        format!("text={}{}", "%0A".repeat(ends), "&".repeat(bytes - 5 - 3 * ends))
    };
    for (form, status, reason, names) in [
        (lines(128), 200, "", ""),
        (lines(129), 400, "INVALID_FIELD", "texts"),
        (long, 400, "INVALID_FIELD", "texts[0]"),
        (String::new(), 400, "INVALID_FIELD", "texts"),
        (
            format!("{}&lines=on", whole(largest - 9)),
            400,
            "INVALID_FIELD",
            "texts",
        ),
        (whole(largest + 1), 413, "MESSAGE_TOO_LARGE", "65536"),
        ("text=%FF".into(), 400, "INVALID_UTF8", "text"),
        ("text=a&text=b".into(), 400, "INVALID_FIELD", "text"),
        ("text=a&colour=red".into(), 400, "INVALID_FIELD", "min_confidence"),
        (
            "text=a&min_confidence=2&route=cascade".into(),
            400,
            "INVALID_FIELD",
            "min_confidence",
        ),
        (
            "text=a&min_confidence=0.5&route=fast".into(),
            400,
            "INVALID_FIELD",
            "min_confidence",
        ),
        ("text=a&task=no-such".into(), 404, "TASK_NOT_FOUND", "task"),
    ] {
        let page = post(&http, &[], &form).await;
        let shown = &form[..form.len().min(60)];
        assert_eq!(page.status.as_u16(), status, "{shown}: {}", page.text());
        assert_guarded(&page);
        let (_, told) = read(page.text());
        assert!(told.contains(reason) && told.contains(names), "{shown}: {told}");
    }
    for (header, status, reason) in [
        (("x-request-timeout-ms", "0"), 504, "DEADLINE_EXCEEDED"),
        (("content-encoding", "gzip"), 415, "UNSUPPORTED_ENCODING"),
        (("sec-fetch-site", "cross-site"), 400, "INVALID_FIELD"),
        (("origin", "http://elsewhere.example"), 400, "INVALID_FIELD"),
        (("origin", "null"), 400, "INVALID_FIELD"),
    ] {
        let page = post(&http, &[header], "text=a").await;
        assert_eq!(page.status.as_u16(), status, "{header:?}");
        assert!(read(page.text()).1.contains(reason), "{}", page.text());
    }
    let own = format!("http://{}", TestServer::shared().await.http_addr());
    for header in [("sec-fetch-site", "same-origin"), ("origin", own.as_str())] {
        assert_eq!(
            post(&http, &[header], "text=a").await.status.as_u16(),
            200,
            "{header:?}"
        );
    }
    for kind in ["application/json", "text/plain", "multipart/form-data; boundary=a"] {
        let page = http
            .send(Method::POST, "/page", &[("content-type", kind)], "text=a")
            .await;
        assert_eq!(page.status.as_u16(), 415, "{kind}");
    }
    let deleted = http.send(Method::DELETE, "/page", &[], "").await;
    assert_eq!(deleted.status.as_u16(), 405);
}
