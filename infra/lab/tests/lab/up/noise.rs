//! Random requests: mostly invalid, some plausible.

use fastrand::Rng;

const METHODS: [&str; 8] = ["GET", "POST", "HEAD", "PUT", "OPTIONS", "PATCH", "get", "BREW"];
const PATHS: [&str; 10] = [
    "/api/ping",
    "/api/outages",
    "/",
    "/api/ping/",
    "/API/PING",
    "/api//ping",
    "/api/ping?x=1&x=%zz&=&&code",
    "/%70%",
    "*",
    "http://elsewhere.test/api/ping",
];
const FRAGMENTS: [&str; 14] = [
    "{\"device\":",
    "\"dl-home\"",
    "{\"agent\":{\"quiet_s\":-1}}",
    "{\"agent\":{\"quiet_s\":1e99}}",
    "[[[[[[",
    "}",
    "null",
    "\u{2028}",
    "\\u0000\\n",
    "{\"incidents\":[{\"id\":\"x\"}]}",
    "\"note\":\"\\ud800\"",
    "18446744073709551616",
    ",",
    " ",
];

/// A request whose connection ends in any case, because the client half-closes it.
pub(crate) fn request(random: &mut Rng, key: &str) -> Vec<u8> {
    match random.u8(0..10) {
        0 => bytes(random, 300),
        1 => [bytes(random, 100), b"\r\n\r\n".to_vec()].concat(),
        _ => plausible(random, key),
    }
}

fn plausible(random: &mut Rng, key: &str) -> Vec<u8> {
    let method = METHODS[random.usize(..METHODS.len())];
    let path = PATHS[random.usize(..PATHS.len())];
    let body = body(random);
    let mut head = vec![format!("{method} {path} HTTP/1.1"), "Host: h".to_owned()];
    if random.u8(0..4) > 0 {
        head.push(format!("x-functions-key: {key}"));
    }
    for _ in 0..random.u8(0..4) {
        let name: String = (0..random.usize(1..12)).map(|_| random.lowercase()).collect();
        let value: String = (0..random.usize(0..40)).map(|_| random.char(' '..='~')).collect();
        head.push(format!("{name}: {value}"));
    }
    if random.bool() {
        head.push("X-Forwarded-For: 1.2.3.4, [::1, ,,".to_owned());
    }
    head.push(match random.u8(0..20) {
        0 => "Transfer-Encoding: chunked".to_owned(),
        1 => format!("Content-Length: {}", body.len() + random.usize(1..9)),
        _ => format!("Content-Length: {}", body.len()),
    });
    let head = head.join("\r\n") + "\r\nConnection: close\r\n\r\n";
    [head.as_bytes(), &body].concat()
}

fn body(random: &mut Rng) -> Vec<u8> {
    match random.u8(0..20) {
        0 => bytes(random, 70_000),
        1..10 => bytes(random, 300),
        _ => {
            let pieces = random.usize(0..12);
            let piece = |random: &mut Rng| FRAGMENTS[random.usize(..FRAGMENTS.len())];
            (0..pieces).map(|_| piece(random)).collect::<String>().into_bytes()
        }
    }
}

fn bytes(random: &mut Rng, most: usize) -> Vec<u8> {
    let length = random.usize(0..most);
    (0..length).map(|_| random.u8(..)).collect()
}
