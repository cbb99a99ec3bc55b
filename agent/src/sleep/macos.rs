//! The power notifications of IOKit.
//!
//! Documented with `IORegisterForSystemPower` in Apple's Q&A QA1340: the callback receives
//! `kIOMessageSystemWillSleep`, and the machine waits up to 30 s for `IOAllowPowerChange` with the
//! argument of that message. The callback runs on the run loop of a thread of its own.

#![allow(
    unsafe_code,
    reason = "IOKit has no safe wrapper; this module is the only one that calls it"
)]

use std::{
    ffi::{c_long, c_void},
    io, ptr, thread,
};

use core_foundation::{
    base::TCFType,
    runloop::{CFRunLoop, CFRunLoopSource, CFRunLoopSourceRef, kCFRunLoopDefaultMode},
};
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;

use super::{Permit, SleepEvent};
use crate::event::{LogEvent, SleepNotAnnounced};

/// `io_object_t`, `io_service_t`, `io_connect_t`: names of ports in the kernel.
type Port = u32;

/// `IOMessage.h`: asks whether the machine may sleep because it is idle.
const CAN_SYSTEM_SLEEP: u32 = 0xe000_0270;
/// `IOMessage.h`: the machine will sleep soon; this cannot be refused.
const SYSTEM_WILL_SLEEP: u32 = 0xe000_0280;
/// `IOMessage.h`: the machine is awake again.
const SYSTEM_HAS_POWERED_ON: u32 = 0xe000_0300;

#[link(name = "IOKit", kind = "framework")]
unsafe extern "C" {
    fn IORegisterForSystemPower(
        context: *mut c_void,
        port: *mut *mut c_void,
        callback: unsafe extern "C" fn(*mut c_void, Port, u32, *mut c_void),
        notifier: *mut Port,
    ) -> Port;
    fn IONotificationPortGetRunLoopSource(port: *mut c_void) -> CFRunLoopSourceRef;
    fn IOAllowPowerChange(kernel: Port, notification: c_long) -> i32;
}

/// Sleep cannot be announced.
#[derive(Debug, Error)]
enum PowerError {
    #[error("the thread that listens for the machine's sleep cannot be started")]
    Thread(#[source] io::Error),
    #[error("the system does not announce the machine's sleep")]
    Register,
}

/// The acknowledgement that the machine waits for, sent on drop.
#[derive(Debug)]
pub(super) struct Hold {
    kernel: Port,
    notification: c_long,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // SAFETY: both are plain numbers that IOKit passed for this acknowledgement; it is sent once,
        // because a `Hold` is neither `Clone` nor `Copy`. Any thread may send it.
        unsafe { IOAllowPowerChange(self.kernel, self.notification) };
    }
}

/// The listening thread. It lives as long as the process: it waits in the kernel and costs nothing.
#[derive(Debug)]
pub(super) struct Source;

impl Source {
    pub(super) fn start(sender: UnboundedSender<SleepEvent>) -> Self {
        if let Err(error) =
            thread::Builder::new().name("sleep".to_owned()).spawn(move || listen(sender))
        {
            SleepNotAnnounced { error: &PowerError::Thread(error) }.emit();
        }
        Self
    }
}

/// The callback's state. `kernel` is 0 until the registration has returned it; the callback runs on the
/// same thread, later.
struct Context {
    sender: UnboundedSender<SleepEvent>,
    kernel: Port,
}

fn listen(sender: UnboundedSender<SleepEvent>) {
    // Never freed: the callback may run for as long as the process lives.
    let context = Box::into_raw(Box::new(Context { sender, kernel: 0 }));
    let mut port = ptr::null_mut();
    let mut notifier = 0;
    // SAFETY: `port` and `notifier` are valid for writes; `context` is what `on_power` expects and is
    // never freed.
    let kernel = unsafe {
        IORegisterForSystemPower(context.cast(), &raw mut port, on_power, &raw mut notifier)
    };
    if kernel == 0 || port.is_null() {
        return SleepNotAnnounced { error: &PowerError::Register }.emit();
    }
    // SAFETY: `context` is valid and unused until the run loop below runs on this thread.
    unsafe { (*context).kernel = kernel };
    // SAFETY: `port` is valid because the registration succeeded; the source belongs to it, so it is
    // retained here ("get rule").
    let source =
        unsafe { CFRunLoopSource::wrap_under_get_rule(IONotificationPortGetRunLoopSource(port)) };
    // SAFETY: reads a constant that CoreFoundation initialises when it is loaded.
    let mode = unsafe { kCFRunLoopDefaultMode };
    CFRunLoop::get_current().add_source(&source, mode);
    CFRunLoop::run_current();
}

/// # Safety
/// `context` points to a [`Context`] that is never freed, and this runs on the thread that created it.
unsafe extern "C" fn on_power(context: *mut c_void, _: Port, message: u32, argument: *mut c_void) {
    // SAFETY: see above; nothing changes it while the run loop runs.
    let context = unsafe { &*context.cast::<Context>() };
    let hold = || Hold { kernel: context.kernel, notification: argument as c_long };
    // A send fails only when the receiver is gone; the error then drops the permit.
    match message {
        CAN_SYSTEM_SLEEP => drop(hold()),
        SYSTEM_WILL_SLEEP => {
            let _ = context.sender.send(SleepEvent::AboutToSleep(Permit { hold: Some(hold()) }));
        }
        SYSTEM_HAS_POWERED_ON => {
            let _ = context.sender.send(SleepEvent::Resumed);
        }
        _ => {}
    }
}
