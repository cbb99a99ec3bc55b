//! Proof: an anchor shows by verified TLS that it is itself.
//!
//! Routers that own 1.1.1.1, login pages, transparent proxies and satellite accelerators complete TCP
//! handshakes in anybody's name, with the line dead. None of them has a certificate that names the
//! anchor's address. The check is that of RFC 9462's verified discovery: the certificate must name the
//! address, and a root that the operating system trusts must vouch for it. No server name is sent,
//! because an address is none (RFC 6066, section 3).
//!
//! A certificate that only begins later proves as much, because nobody but its owner can sign with it: a
//! start in 1970 is no outage. That heartbeats fail for it has a cause of its own.
//!
//! Sessions can be resumed: only the holder of the keys that the first, verified handshake proved can go
//! on with one, so a resumed session is proof as well, for a quarter of the bytes. But it fits into small
//! packets: a line that swallows large ones (an MTU black hole) lets it pass. So rounds, which decide, ask
//! for the [`Handshake::Whole`], and so does every fifth proof beside them.
//!
//! A handshake completed is closed by a reset ([`tcp`] says why), a second later: a server
//! sends the tickets for the next session only after the end of the handshake.

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

/// TLS fails for good after this time, counted from the completed connect: a slow line needs as long for
/// each, and what completes connections in anybody's name does so at once.
pub const PROOF_LIMIT: Duration = Duration::from_secs(4);
/// For how long a proven connection waits for the tickets of the next session.
const TICKETS_WITHIN: Duration = Duration::from_secs(1);
/// Sessions to remember. rustls keeps eight tickets a server and divides the number by that; there are 16
/// anchors at most.
const REMEMBERED_SESSIONS: usize = 16 * 8;
/// How long roots that could not be read are not tried again.
const RETRY_ROOTS_AFTER: Duration = Duration::from_mins(1);

/// What proofs are checked with; its clones share it. The roots are read at the first proof, on a thread
/// of their own, because a disk can hang.
#[derive(Clone, Debug)]
pub struct Prover {
    state: Arc<watch::Sender<ProverState>>,
}

/// How an anchor is asked for proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// With its certificates, a few kilobytes.
    Whole,
    /// A session is resumed where one is remembered.
    Resumed,
}

/// The configurations for both kinds of handshake.
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
    /// Since when it is known that there are no roots, and why.
    Failed(Instant, Arc<Error>),
}

impl Prover {
    /// Checks by the roots that the operating system trusts.
    pub fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(ProverState::NotRead)) }
    }

    /// Checks by another verifier, for tests with an authority of their own.
    ///
    /// # Errors
    /// rustls refuses its own defaults, which does not happen.
    pub fn with_verifier(verifier: Arc<dyn ServerCertVerifier>) -> Result<Self, Error> {
        let state = ProverState::Ready(Arc::new(configurations(verifier)?));
        Ok(Self { state: Arc::new(watch::Sender::new(state)) })
    }

    /// Why nothing can prove itself here: no root certificates could be read. `None` while that is not
    /// known, or when all is well.
    pub fn failure(&self) -> Option<String> {
        match &*self.state.borrow() {
            ProverState::Failed(_, error) => Some(error.to_string()),
            _ => None,
        }
    }

    /// The configurations, once the roots are read; `None` when there are no roots.
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

/// Asks one anchor for proof, through the interface `via` where one is given: a connect of 2.5 s at most,
/// then TLS until 4 s after the start. An anchor without TLS is asked for contact only, and one that is
/// on-link is not asked at all.
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

/// Whether the other side proves to be the anchor.
async fn handshake(
    anchor: &AnchorPath,
    kind: Handshake,
    prover: &Prover,
    stream: TcpStream,
) -> bool {
    let Some(both) = prover.configurations().await else { return false };
    let configuration = Arc::clone(match kind {
        Handshake::Whole => &both.whole,
        Handshake::Resumed => &both.resumed,
    });
    let name = ServerName::IpAddress(anchor.anchor.address.ip().to_canonical().into());
    match TlsConnector::from(configuration).connect(name, stream).await {
        Ok(stream) => {
            if stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
                // Its proof is complete, and nobody waits for this.
                tokio::spawn(take_tickets(stream));
            }
            true
        }
        Err(_) => false,
    }
}

/// Reads until the tickets have come, or will not come any more.
async fn take_tickets(mut stream: TlsStream<TcpStream>) {
    let mut nothing = [0; 64];
    let read = async { while matches!(stream.read(&mut nothing).await, Ok(1..)) {} };
    // Whichever way it ends, the connection has done what it was for.
    let _ = timeout(TICKETS_WITHIN, read).await;
}
