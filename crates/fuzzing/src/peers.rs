//! What a server reads of others in a session: the dealer's stream, the other server's messages, handed-over shares; and what both ends
//! of a connection read before they know each other.

use crate::shaped;
use blindroute_protocol::{
    Comparison, Error, Form, Interpreter, Kept, Machine, Program, Shape, WeightId, WeightKind, WeightSpec,
};
use blindroute_runtime::{CertificateFolder, Endpoint, Link, Role, Timeouts};
use blindroute_testkit::{Noise, ServerAlone, State};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

/// A layer, a comparison, a selection and a table: material of every kind.
struct Small;

impl Program for Small {
    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("w", WeightKind::Matrix { inner: 5, columns: 2 }, 4)]
    }

    fn inputs(&self) -> Vec<Form> {
        vec![Form::new(Shape::row(5), 40, 4), Form::new(Shape::row(3), 2, 0)]
    }

    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
        let index = machine.input::<u32>(1)?;
        let index = machine.defer(index)?;
        let x = machine.input::<u64>(0)?;
        let x = machine.open(x)?;
        let index = machine.take(index)?;
        let positive = machine.compare(&x, &Comparison::of_many(vec![0], 4, 2))?;
        let kept = machine.select(&positive, &x)?;
        let kept = machine.open(kept)?;
        let layer = machine.linear(&kept, WeightId(0))?;
        machine.reveal(layer, "a fuzz target")?;
        let odd = machine.lookup_bits(&index, &[false, true, false, true])?;
        let odd = machine.open_bits(odd)?;
        let odd = machine.bits_to_share::<u32>(&odd, 4)?;
        machine.reveal(odd, "a fuzz target")
    }
}

/// Shares of weights and inputs, then the dealer's stream; the other server's messages are random.
pub fn session(bytes: &[u8]) {
    let seed = bytes.iter().fold(1, |seed: u64, &byte| seed.rotate_left(7) ^ u64::from(byte));
    if let Ok(server) = ServerAlone::prepare(&Small, State::of_bytes(bytes), Noise::new(seed)) {
        let ran = server.run().expect("a session whose material is complete runs, whatever the other server sends");
        assert!(!ran.output.bytes().is_empty());
    }
}

/// What another pair hands over.
pub fn kept(bytes: &[u8]) {
    let Some((form, rest)) = shaped(bytes) else { return };
    let forms = [form, Form::new(Shape::row(3), 7, 0)];
    assert_eq!(Kept::from_bytes(&forms, rest).is_ok(), rest.len() == Kept::byte_len(&forms));
}

/// Two ends of a deployment made once.
fn ends() -> &'static [Endpoint; 2] {
    static ENDS: OnceLock<[Endpoint; 2]> = OnceLock::new();
    ENDS.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder for certificates");
        let certificates = CertificateFolder::generate(folder.path()).expect("certificates");
        [Role::Client, Role::Server0]
            .map(|role| Endpoint::load(role, &certificates.identity(role)).expect("the certificate that was just made"))
    })
}

/// A connection before the two ends know each other: the bytes to who accepts, and to who calls.
pub fn handshake(bytes: &[u8]) {
    let [client, server] = ends();
    let short = Duration::from_secs(5);
    let timeouts = Timeouts { connect: short, handshake: short, stall: short, message: short, ready: short };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("its address");
    // Sends the bytes and no more, and waits until the other end gives up.
    let say = |mut socket: TcpStream| {
        let _ = socket.write_all(bytes).and_then(|()| socket.shutdown(Shutdown::Write));
        let _ = socket.read_to_end(&mut Vec::new());
    };
    // Joined, because a scope waits only for what its threads do: a search for leaks would find what their ends still hold.
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| say(TcpStream::connect(address).expect("the listener is there")));
        let (socket, _) = listener.accept().expect("the caller is there");
        assert!(Link::accept(socket, server, &[Role::Client], &timeouts).is_err(), "nobody proved a role");
        calling.join().expect("it only writes and reads");
    });
    std::thread::scope(|scope| {
        let answering = scope.spawn(|| say(listener.accept().expect("the caller is there").0));
        let called = Link::connect(&address.to_string(), client, Role::Server0, &timeouts);
        assert!(called.is_err(), "nobody proved a role");
        answering.join().expect("it only writes and reads");
    });
}
