//! Proof: an anchor proves its identity by a verified TLS handshake.
//!
//! Routers that own 1.1.1.1, captive portals, transparent proxies and satellite accelerators complete TCP
//! handshakes in the name of any server, even while the internet is unreachable. None of them has a
//! certificate for the anchor's address. The check is that of RFC 9462's verified discovery: the certificate
//! must name the address and chain to a root that the operating system trusts. No server name is sent,
//! because SNI must not contain an IP address (RFC 6066, section 3).
//!
//! A certificate that is not valid yet still counts as proof, because only its owner can sign with it: a
//! wrong clock (a boot in 1970) must not be reported as an outage. Heartbeats that fail for it have a cause
//! of their own.
//!
//! Only the holder of the keys that the first, verified handshake proved can resume a session, so a resumed
//! session is proof too, for a quarter of the bytes. But its packets are small: they pass a path that drops
//! large ones (an MTU black hole). So rounds, which decide about an outage, use [`Handshake::Full`], and so
//! does every fifth proof outside rounds.
//!
//! A completed connection is closed by a reset ([`tcp`] explains why), one second later: a server sends the
//! session tickets only after the handshake.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, Error, ProtocolVersion,
    client::{ClientSessionMemoryCache, Resumption, danger::ServerCertVerifier},
    pki_types::ServerName,
};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    AnchorAnswer, AnchorEnd, Interface,
    link::AnchorPath,
    tcp::{self, CONNECT_LIMIT},
};
use crate::{
    clock::Stamp,
    tls::{ProofVerifier, platform_verifier, provider, read_roots_again},
};

/// Time limit of the TLS handshake, counted from the completed connect: a slow connection needs this long on
/// top of the connect, and a middlebox that completes connections for others does so at once.
pub const PROOF_LIMIT: Duration = Duration::from_secs(4);
/// How long a proven connection stays open to receive session tickets.
const TICKET_TIMEOUT: Duration = Duration::from_secs(1);
/// Size of the session cache. rustls keeps eight tickets for each server and divides the size by that;
/// there are 16 anchors at most.
const REMEMBERED_SESSIONS: usize = 16 * 8;
/// Delay before the root certificates are read again after a failure.
const RETRY_ROOTS_AFTER: Duration = Duration::from_mins(1);

/// The TLS configurations that anchors are verified with; clones share them. The root certificates are read
/// at the first proof, on a separate thread, because a disk can hang.
#[derive(Clone, Debug)]
pub struct Prover {
    state: Arc<watch::Sender<ProverState>>,
}

/// Kind of TLS handshake with an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// A full handshake with certificates, a few kilobytes.
    Full,
    /// A resumed session if one is cached, else a full handshake.
    Resumed,
}

/// The TLS configurations for both kinds of handshake.
#[derive(Debug)]
struct Configurations {
    whole: Arc<ClientConfig>,
    resumed: Arc<ClientConfig>,
}

#[derive(Clone, Debug)]
enum ProverState {
    NotRead,
    Reading,
    Ready(Arc<Configurations>),
    /// The roots could not be read: since when, and why.
    Failed(Instant, Arc<Error>),
}

impl Prover {
    /// Verifies by the roots that the operating system trusts.
    pub fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(ProverState::NotRead)) }
    }

    /// Verifies by `verifier`, for tests with their own certificate authority.
    ///
    /// # Errors
    /// rustls rejects its own defaults, which does not happen.
    pub fn with_verifier(verifier: Arc<dyn ServerCertVerifier>) -> Result<Self, Error> {
        let state = ProverState::Ready(Arc::new(configurations(verifier)?));
        Ok(Self { state: Arc::new(watch::Sender::new(state)) })
    }

    /// Why no anchor can be verified: the root certificates could not be read. `None` if they could, or before
    /// they are read.
    pub fn failure(&self) -> Option<String> {
        match &*self.state.borrow() {
            ProverState::Failed(_, error) => Some(error.to_string()),
            _ => None,
        }
    }

    /// The configurations, once the roots are read; `None` if they cannot be read.
    async fn configurations(&self) -> Option<Arc<Configurations>> {
        let mut state = self.state.subscribe();
        self.read_if_due();
        loop {
            match &*state.borrow_and_update() {
                ProverState::Ready(both) => return Some(Arc::clone(both)),
                ProverState::Failed(..) => return None,
                ProverState::NotRead | ProverState::Reading => {}
            }
            state.changed().await.ok()?;
        }
    }

    fn read_if_due(&self) {
        let mut again = false;
        let begins = self.state.send_if_modified(|state| {
            again = matches!(state, ProverState::Failed(..));
            let is_due = match state {
                ProverState::NotRead => true,
                ProverState::Failed(since, _) => since.elapsed() >= RETRY_ROOTS_AFTER,
                ProverState::Reading | ProverState::Ready(_) => false,
            };
            if is_due {
                *state = ProverState::Reading;
            }
            is_due
        });
        if !begins {
            return;
        }
        let state = Arc::clone(&self.state);
        let read = move || {
            if again {
                read_roots_again();
            }
            let made = platform_verifier().and_then(configurations);
            state.send_replace(match made {
                Ok(both) => ProverState::Ready(Arc::new(both)),
                Err(error) => ProverState::Failed(Instant::now(), Arc::new(error)),
            });
        };
        let thread = std::thread::Builder::new().name("roots".to_owned()).spawn(read);
        if let Err(error) = thread {
            let error = Error::General(format!("no thread could be started to read them: {error}"));
            self.state.send_replace(ProverState::Failed(Instant::now(), Arc::new(error)));
        }
    }
}

impl Default for Prover {
    fn default() -> Self {
        Self::new()
    }
}

fn configurations(verifier: Arc<dyn ServerCertVerifier>) -> Result<Configurations, Error> {
    let mut whole = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ProofVerifier(verifier)))
        .with_no_client_auth();
    let sessions = ClientSessionMemoryCache::new(REMEMBERED_SESSIONS);
    whole.enable_sni = false;
    whole.resumption = Resumption::disabled();
    let mut resumed = whole.clone();
    resumed.resumption = Resumption::store(Arc::new(sessions));
    Ok(Configurations { whole: Arc::new(whole), resumed: Arc::new(resumed) })
}

/// Probes one anchor, through the interface `via` if one is given: a connect of 2.5 s at most, then TLS
/// of [`PROOF_LIMIT`] at most. An anchor without TLS is probed for contact only, and one that is on-link is
/// not probed at all.
pub async fn prove(
    anchor: &AnchorPath,
    kind: Handshake,
    prover: &Prover,
    via: Option<&Interface>,
    clock: &impl Fn() -> Stamp,
) -> AnchorAnswer {
    let sent = clock();
    let begun = Instant::now();
    let (end, from) = if anchor.on_link && via.is_none() {
        (AnchorEnd::OnLink, None)
    } else {
        match tcp::open(anchor.anchor.address, begun + CONNECT_LIMIT, via).await {
            Err(failure) => (failure.end.into(), failure.from),
            Ok(_) if !anchor.anchor.tls => (AnchorEnd::Contact, None),
            Ok(stream) => {
                let limit = Instant::now() + PROOF_LIMIT;
                let proof = timeout_at(limit, handshake(anchor, kind, prover, stream)).await;
                (if proof == Ok(true) { AnchorEnd::Proved } else { AnchorEnd::Unproved }, None)
            }
        }
    };
    let own_path = anchor.own_path;
    AnchorAnswer { anchor: anchor.anchor.address, sent, took: begun.elapsed(), end, from, own_path }
}

/// Performs the TLS handshake and returns whether the anchor proved its identity.
async fn handshake(
    anchor: &AnchorPath,
    kind: Handshake,
    prover: &Prover,
    stream: TcpStream,
) -> bool {
    let Some(both) = prover.configurations().await else { return false };
    let configuration = Arc::clone(match kind {
        Handshake::Full => &both.whole,
        Handshake::Resumed => &both.resumed,
    });
    let name = ServerName::IpAddress(anchor.anchor.address.ip().to_canonical().into());
    match TlsConnector::from(configuration).connect(name, stream).await {
        Ok(stream) => {
            if stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
                // The proof is complete; the tickets are read in the background.
                tokio::spawn(receive_tickets(stream));
            }
            true
        }
        Err(_) => false,
    }
}

/// Reads until the session tickets have arrived or [`TICKET_TIMEOUT`] has passed.
async fn receive_tickets(mut stream: TlsStream<TcpStream>) {
    let mut nothing = [0; 64];
    let read = async { while matches!(stream.read(&mut nothing).await, Ok(1..)) {} };
    // Tickets are optional: the proof counts without them.
    let _ = timeout(TICKET_TIMEOUT, read).await;
}
