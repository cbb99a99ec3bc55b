//! The agent's figures: binary size, memory and CPU time over 10,000 heartbeats by TLS.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ispmon_lab::internet::Internet;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::Notify,
    time::Instant,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use crate::process::{Process, row};

const HEARTBEATS: u64 = 10_000;

/// Measures and prints all figures of the agent.
pub(crate) async fn print(binary: &Path) {
    println!("\nagent");
    let size = fs::metadata(binary).unwrap().len() as f64 / 1_000_000.0;
    row("binary", format!("{size:.2} MB"), "at most 6 MB");

    let folder = tempfile::tempdir().unwrap();
    let received = Arc::new(Received::default());
    let port = serve(folder.path(), Arc::clone(&received)).await;
    // Its probes and its journal stay on this machine, too.
    let internet = Internet::start(([127, 0, 0, 1], port).into()).await.unwrap();
    let configuration = format!(
        "device = \"bench\"\nstate_dir = \"{}\"\n\
         [heartbeat]\nurl = \"https://localhost:{port}/api/ping\"\n\
         key_file = \"{}\"\ninterval = \"10ms\"\ntimeout = \"10s\"\n\
         [probe]\n{}",
        folder.path().join("state").display(),
        folder.path().join("key").display(),
        internet.addresses().probe_settings(),
    );
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(folder.path().join("agent.toml"), configuration).unwrap();
    fs::write(folder.path().join("key"), "bench-key").unwrap();
    fs::set_permissions(folder.path().join("key"), fs::Permissions::from_mode(0o600)).unwrap();

    let started = Instant::now();
    let agent = Process::start(
        Command::new(binary)
            .args(["run", "--config"])
            .arg(folder.path().join("agent.toml"))
            .env_clear()
            .env("SSL_CERT_FILE", trusted(folder.path()))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(Stdio::null()),
    );
    for (reached, heartbeats) in [("after 100", 100), ("after 10,000", HEARTBEATS)] {
        received.reach(heartbeats).await;
        row(
            &format!("resident memory {reached} heartbeats by TLS"),
            agent.memory_text("VmRSS"),
            "at most 8 MB",
        );
    }
    if let Some(ticks) = agent.processor_ticks() {
        let text = format!("{:.2} ms", ticks as f64 * 10.0 / HEARTBEATS as f64);
        row("processor time per heartbeat, TLS handshake included", text, "");
    }
    row(
        "duration of the 10,000 heartbeats",
        format!("{:.0} s", started.elapsed().as_secs_f64()),
        "",
    );
}

/// The system's roots plus the test certificate: the number of roots that a verifier holds in real
/// use.
fn trusted(folder: &Path) -> std::path::PathBuf {
    let system = fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    let bundle = folder.join("trusted.pem");
    fs::write(&bundle, [system, fs::read(folder.join("certificate.pem")).unwrap()].concat())
        .unwrap();
    bundle
}

#[derive(Default)]
struct Received {
    count: AtomicU64,
    changed: Notify,
}

impl Received {
    async fn reach(&self, wanted: u64) {
        let deadline = Instant::now() + Duration::from_mins(20);
        while self.count.load(Ordering::Relaxed) < wanted {
            tokio::time::timeout_at(deadline, self.changed.notified())
                .await
                .expect("the agent sends its heartbeats within 20 minutes");
        }
    }
}

/// Responds `ok` to every heartbeat over TLS, with a new certificate for `localhost`.
async fn serve(folder: &Path, received: Arc<Received>) -> u16 {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a private key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a server configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, received) = (acceptor.clone(), Arc::clone(&received));
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut request = Vec::new();
                while !request.ends_with(b"}") && stream.read_buf(&mut request).await.ok()? > 0 {}
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.ok()?;
                stream.shutdown().await.ok()?;
                received.count.fetch_add(1, Ordering::Relaxed);
                received.changed.notify_one();
                Some(())
            });
        }
    });
    port
}
