//! The house, its servers, and the devices in the path of its traffic.

use std::{io, sync::Mutex, time::Duration};

use ispmon_agent::clock;
use tokio::task::AbortHandle;

use crate::play::{
    addresses::HOME_ENDPOINT_V6,
    fault::{Check, CheckOutcome, Fault, TakenPorts},
    forwarder::Forwarder,
    house::House,
    servers::Servers,
    tunnel::{self, Carries},
};

/// Everything around the agent.
pub(crate) struct World {
    pub(crate) house: House,
    pub(crate) servers: Servers,
    forwarder: Option<Forwarder>,
    own_names: Mutex<Option<AbortHandle>>,
    taken_ports: Mutex<Option<TakenPorts>>,
}

impl World {
    /// Builds a house and starts its servers.
    pub(crate) fn new() -> io::Result<Self> {
        let house = House::build()?;
        let servers = Servers::start(&house)?;
        let (own_names, taken_ports) = (Mutex::default(), Mutex::default());
        Ok(Self { house, servers, forwarder: None, own_names, taken_ports })
    }

    /// Inserts a forwarder into the provider's link.
    pub(crate) fn insert_forwarder(&mut self, seed: u64) -> io::Result<()> {
        let forwarder = Forwarder::start(&self.house.isp, seed, self.servers.handle())?;
        self.forwarder = Some(forwarder);
        Ok(())
    }

    /// Routes the device's traffic, or a part of it, through a tunnel.
    pub(crate) fn insert_tunnel(&self, carries: Carries) -> io::Result<()> {
        tunnel::build(&self.house, carries, self.servers.handle())
    }

    /// Adds a heartbeat endpoint inside the house.
    pub(crate) fn insert_home_endpoint(&self) -> io::Result<()> {
        self.house.router.ip(&format!("addr add {HOME_ENDPOINT_V6}/128 dev lan"))?;
        self.servers.serve_at_home(&self.house)
    }

    /// Starts a name server on the device itself.
    pub(crate) fn serve_own_names(&self) -> io::Result<()> {
        let handle = self.servers.serve_names_on_device(&self.house)?;
        *self.own_names.lock().expect("the lock is not poisoned") = Some(handle);
        Ok(())
    }

    /// Stops it.
    pub(super) fn stop_own_names(&self) {
        if let Some(handle) = self.own_names.lock().expect("the lock is not poisoned").take() {
            handle.abort();
        }
    }

    /// Takes all ephemeral ports of the device.
    pub(super) fn take_ports(&self) -> io::Result<()> {
        let taken = TakenPorts::take(&self.house)?;
        *self.taken_ports.lock().expect("the lock is not poisoned") = Some(taken);
        Ok(())
    }

    /// Releases them.
    pub(super) fn free_ports(&self) -> io::Result<()> {
        self.taken_ports.lock().expect("the lock is not poisoned").take();
        TakenPorts::give_back(&self.house)
    }

    /// The forwarder in the provider's link.
    pub(crate) fn forwarder(&self) -> &Forwarder {
        self.forwarder.as_ref().expect("the row has inserted a forwarder")
    }

    /// Injects a fault and returns when it took effect, by the boot-time clock.
    pub(crate) fn inject(&self, fault: Fault) -> io::Result<Duration> {
        let at = clock::boot_time();
        fault.inject(self)?;
        Ok(at)
    }

    /// Repairs a fault and returns when everything worked again.
    pub(crate) fn repair(&self, fault: Fault) -> io::Result<Duration> {
        fault.repair(self)?;
        Ok(clock::boot_time())
    }

    /// Verifies that a fault has its symptoms, apart from those of `habit`.
    pub(crate) fn verify(&self, fault: Fault, habit: Option<Fault>) -> Result<(), String> {
        let broken = format!("{fault:?}");
        let usual: Vec<_> =
            habit.iter().flat_map(|habit| habit.symptoms()).map(|(question, _)| question).collect();
        let mut own = fault.symptoms().iter().filter(|(question, _)| !usual.contains(&question));
        own.try_for_each(|(question, seen)| self.require(*question, seen, &broken))
    }

    /// Waits until everything works: in a new house, neighbour discovery takes a moment.
    pub(crate) fn wait_until_working(&self) -> Result<(), String> {
        const TRIES: usize = 5;
        let mut result = Ok(());
        for _ in 0..TRIES {
            result = self.verify_working();
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn verify_working(&self) -> Result<(), String> {
        use Check::{Endpoint, Name, ProofV4, ProofV6, Router, Web};
        let expected = [
            (ProofV4, CheckOutcome::Proved),
            (ProofV6, CheckOutcome::Proved),
            (Endpoint, CheckOutcome::Connected),
            (Web, CheckOutcome::Connected),
            (Name, CheckOutcome::Truth),
            (Router, CheckOutcome::Refused),
        ];
        expected
            .iter()
            .try_for_each(|(question, expected)| self.require(*question, &[*expected], "nothing"))
    }

    fn require(
        &self,
        question: Check,
        expected: &[CheckOutcome],
        broken: &str,
    ) -> Result<(), String> {
        let seen = question.run(self).map_err(|error| error.to_string())?;
        if expected.contains(&seen) {
            return Ok(());
        }
        Err(format!(
            "the set-up is wrong: with {broken} broken, {question:?} should end with {expected:?}, but it \
             ended with {seen:?}"
        ))
    }
}
