//! System calls for which no safe wrapper exists.
#![allow(unsafe_code, reason = "each use is explained where it stands")]

use std::{
    fs::{File, OpenOptions},
    future,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
};

use rustix::{
    fs::OFlags,
    ioctl::{Updater, ioctl},
    thread::{UnshareFlags, unshare_unsafe},
};
use tokio::io::unix::AsyncFd;

/// Moves the calling thread into a new, empty network namespace.
pub(crate) fn leave_network() -> io::Result<()> {
    // SAFETY: the only danger is UnshareFlags::FILES, which would separate this thread's file
    // descriptors from those of the other threads.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}

/// `struct ifreq` with the part of its union that TUNSETIFF uses (`linux/if.h`).
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// A TUN interface: this program reads the packets routed into it, and writes packets that it emits.
/// The interface is removed when this is dropped.
pub(crate) struct Tun(AsyncFd<File>);

impl Tun {
    /// Registers a file of [`open_tun`]. Must be called in the context of the runtime that will poll
    /// it.
    pub(crate) fn new(file: File) -> io::Result<Self> {
        // SAFETY: the file keeps its descriptor until it is dropped, and no other code accesses it
        // before.
        Ok(Self(unsafe { AsyncFd::register(file) }?))
    }

    /// Waits for a packet and returns its length.
    pub(crate) async fn take(&self, buffer: &mut [u8]) -> usize {
        loop {
            // The runtime ends before the interface does.
            let Ok(mut ready) = self.0.readable().await else { return future::pending().await };
            if let Ok(Ok(length)) = ready.try_io(|file| file.get_ref().read(buffer)) {
                return length;
            }
        }
    }

    /// Sends a packet. A packet that the kernel rejects is lost.
    pub(crate) fn send(&self, packet: &[u8]) {
        let _ = self.0.get_ref().write(packet);
    }
}

/// Creates a TUN interface of that name in the namespace of the calling thread.
pub(crate) fn open_tun(name: &str) -> io::Result<File> {
    /// `_IOW('T', 202, int)`, `IFF_TUN` and `IFF_NO_PI` of `linux/if_tun.h`.
    const TUNSETIFF: u32 = 0x4004_54ca;
    const IFF_TUN: u16 = 0x0001;
    const IFF_NO_PI: u16 = 0x1000;
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file =
        OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/net/tun")?;
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    // The last byte stays zero.
    request.name.iter_mut().take(15).zip(name.bytes()).for_each(|(to, from)| *to = from);
    // SAFETY: this request reads and writes one `struct ifreq` of 40 bytes.
    unsafe { ioctl(&file, Updater::<TUNSETIFF, _>::new(&mut request)) }?;
    Ok(file)
}
