//! A link that loses or delays packets: a TUN interface into which all traffic of the provider is
//! routed, and a task that writes every packet back, drops it or delays it.

use std::{
    fmt::Write as _,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{runtime::Handle, time::sleep};

use crate::play::{
    addresses::WAN_V4,
    kernel::{self, Tun},
    namespace::Namespace,
};

/// Loss and delay on the link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Impairment {
    /// Loss rate of packets from the house, 0 to 1.
    pub(crate) loss: f64,
    /// Loss rate of packets to the house, 0 to 1.
    pub(crate) loss_back: f64,
    /// Added delay of each packet, in either direction.
    pub(crate) delay: Duration,
}

/// Packet counters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    /// Packets from the house.
    pub(crate) sent: u32,
    /// Packets from the house that were lost.
    pub(crate) lost: u32,
}

/// The forwarder in a provider's network.
pub(crate) struct Forwarder {
    state: Arc<Mutex<State>>,
}

struct State {
    weather: Impairment,
    count: Count,
    random: fastrand::Rng,
}

impl Forwarder {
    /// Routes the provider's traffic through the forwarder. `seed` determines which packets are lost.
    pub(crate) fn start(isp: &Namespace, seed: u64, runtime: &Handle) -> io::Result<Self> {
        let tun = isp.enter(|| kernel::open_tun("line"))??;
        let mut lines = "link set line up\n".to_owned();
        for all in ["0.0.0.0/0", "::/0"] {
            let _ = writeln!(lines, "route add {all} dev line table 100");
            for interface in ["router", "alpha", "beta", "resolver", "endpoint"] {
                let _ = writeln!(lines, "rule add from {all} iif {interface} lookup 100");
            }
        }
        isp.ip(&lines)?;
        let random = fastrand::Rng::with_seed(seed);
        let state = State { weather: Impairment::default(), count: Count::default(), random };
        let state = Arc::new(Mutex::new(state));
        let _inside = runtime.enter();
        let tun = Arc::new(Tun::new(tun)?);
        runtime.spawn(forward(tun, Arc::clone(&state)));
        Ok(Self { state })
    }

    /// Changes loss and delay.
    pub(crate) fn set(&self, weather: Impairment) {
        self.state.lock().expect("no task panicked").weather = weather;
    }

    /// The packet counters so far.
    pub(crate) fn count(&self) -> Count {
        self.state.lock().expect("no task panicked").count
    }
}

/// Forwards packets until the runtime ends.
async fn forward(tun: Arc<Tun>, state: Arc<Mutex<State>>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let length = tun.take(&mut buffer).await;
        let packet = buffer[..length].to_vec();
        let Some(delay) = state.lock().expect("no task panicked").judge(&packet) else { continue };
        if delay.is_zero() {
            tun.send(&packet);
            continue;
        }
        let tun = Arc::clone(&tun);
        tokio::spawn(async move {
            sleep(delay).await;
            tun.send(&packet);
        });
    }
}

impl State {
    /// The delay of a packet; `None` if it is lost.
    fn judge(&mut self, packet: &[u8]) -> Option<Duration> {
        let outward = from_house(packet);
        let loss = if outward { self.weather.loss } else { self.weather.loss_back };
        let goes_on = self.random.f64() >= loss;
        if outward {
            self.count.sent += 1;
            self.count.lost += u32::from(!goes_on);
        }
        goes_on.then_some(self.weather.delay)
    }
}

/// Whether a packet comes from the house, by its source address: the router's WAN address for IPv4, the
/// house's network (`2a00:7070::/40`) for IPv6.
fn from_house(packet: &[u8]) -> bool {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => packet.get(12..16) == Some(&WAN_V4.octets()),
        Some(6) => packet.get(8..13) == Some(&[0x2a, 0, 0x70, 0x70, 0]),
        _ => false,
    }
}
