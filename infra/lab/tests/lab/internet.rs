//! The lab's simulated internet: everything answers, then nothing answers, then everything answers
//! again.

use std::{net::SocketAddr, time::Duration};

use ispmon_lab::internet::{Addresses, Internet};
use simple_dns::{CLASS, Name, Packet, QTYPE, Question, RCODE, TYPE};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

/// Timeout for a hanging test.
const DEADLINE: Duration = Duration::from_mins(1);
/// Long enough for an answer to arrive if there were one.
const SILENCE: Duration = Duration::from_millis(700);

/// A server in place of the cloud, which sends one word to every client.
async fn cloud() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"cloud").await;
        }
    });
    address
}

fn question(name: &str) -> Vec<u8> {
    let mut packet = Packet::new_query(4711);
    let name = Name::new(name).expect("a name");
    packet.questions.push(Question::new(name, QTYPE::TYPE(TYPE::A), CLASS::IN.into(), false));
    packet.build_bytes_vec().expect("a message")
}

fn rcode(message: &[u8]) -> RCODE {
    Packet::parse(message).expect("a message").rcode()
}

async fn by_udp(server: SocketAddr, name: &str) -> RCODE {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    socket.send_to(&question(name), server).await.expect("sent");
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).await.expect("an answer");
    rcode(&buffer[..length])
}

async fn by_tcp(server: SocketAddr, name: &str) -> RCODE {
    let question = question(name);
    let mut stream = TcpStream::connect(server).await.expect("connects");
    let length = u16::try_from(question.len()).expect("short").to_be_bytes();
    stream.write_all(&[&length[..], &question].concat()).await.expect("sent");
    let mut answer = vec![0; usize::from(stream.read_u16().await.expect("an answer"))];
    stream.read_exact(&mut answer).await.expect("a whole answer");
    rcode(&answer)
}

async fn status_of(server: SocketAddr) -> String {
    let mut stream = TcpStream::connect(server).await.expect("connects");
    let request = "GET /generate_204 HTTP/1.1\r\nHost: portal.test\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert_eq!(body, "");
    head.lines().next().unwrap_or_default().to_owned()
}

async fn cloud_says(address: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let mut word = Vec::new();
    stream.read_to_end(&mut word).await.expect("a word");
    word
}

async fn everything_answers(addresses: &Addresses) {
    let all = async {
        for anchor in &addresses.anchors {
            TcpStream::connect(anchor).await.expect("an anchor completes every connection");
        }
        assert_eq!(by_udp(addresses.name_server, "example.com").await, RCODE::NoError);
        assert_eq!(by_udp(addresses.name_server, "nonce.invalid").await, RCODE::NameError);
        assert_eq!(by_tcp(addresses.name_server, "example.com").await, RCODE::NoError);
        assert_eq!(by_tcp(addresses.name_server, "nonce.invalid").await, RCODE::NameError);
        assert_eq!(status_of(addresses.portal_check).await, "HTTP/1.1 204 No Content");
        assert_eq!(cloud_says(addresses.cloud).await, b"cloud");
    };
    timeout(DEADLINE, all).await.expect("everything answers");
}

async fn nothing_answers(addresses: &Addresses) {
    let streams = [addresses.name_server, addresses.portal_check, addresses.cloud];
    let streams = streams.iter().chain(&addresses.anchors).copied();
    let mut connects: Vec<_> =
        streams.map(|server| tokio::spawn(timeout(SILENCE, TcpStream::connect(server)))).collect();
    let datagram = timeout(SILENCE, by_udp(addresses.name_server, "example.com")).await;
    assert!(datagram.is_err(), "a datagram was answered");
    for connect in &mut connects {
        let connect = connect.await.expect("no panic");
        assert!(connect.is_err(), "a connect ended: {connect:?}");
    }
}

#[tokio::test]
async fn everything_answers_then_nothing_then_everything_again() {
    let mut internet = Internet::start(cloud().await).await.expect("an internet");
    let addresses = internet.addresses().clone();
    for family in [SocketAddr::is_ipv4, SocketAddr::is_ipv6] {
        let anchors = addresses.anchors.iter().filter(|anchor| family(anchor)).count();
        assert!(matches!(anchors, 0 | 3), "{anchors} anchors");
    }
    everything_answers(&addresses).await;
    for _ in 0..2 {
        internet.cut().await.expect("the internet can be cut");
        nothing_answers(&addresses).await;
        internet.restore();
        everything_answers(&addresses).await;
    }
}

#[tokio::test]
async fn the_router_answers_while_the_internet_is_cut() {
    let mut internet = Internet::start(cloud().await).await.expect("an internet");
    internet.cut().await.expect("it can be cut");
    let router = internet.addresses().gateway;
    // Port 1 of this machine is not in use.
    let answer = timeout(DEADLINE, TcpStream::connect((router, 1))).await.expect("an answer");
    assert_eq!(answer.expect_err("refused").kind(), std::io::ErrorKind::ConnectionRefused);
}
