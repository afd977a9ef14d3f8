//! A peer that greets as it should and then does what its script says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use hbs2_core::{SignPublicKey, SignSecretKey};
use hbs2_proto::wire::{Handshake, Message, PeerData};

use crate::kit::PATIENCE;
use crate::victim::Victim;

/// What a script makes of a message: its answers.
type Script = Box<dyn FnMut(Message) -> Vec<Message> + Send>;

/// A linked bad peer. A thread reads what comes, answers pings, and leaves the rest to the script.
pub(crate) struct Eve {
    out: Arc<Mutex<TcpStream>>,
    key: SignSecretKey,
    gone: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Eve {
    /// A peer that the victim trusts, whose script answers nothing.
    pub(crate) fn meet(victim: &Victim, seed: u8) -> Self {
        Self::meet_with(victim, seed, |_| Vec::new())
    }

    /// A peer that the victim trusts.
    pub(crate) fn meet_with(
        victim: &Victim,
        seed: u8,
        script: impl FnMut(Message) -> Vec<Message> + Send + 'static,
    ) -> Self {
        let key = SignSecretKey::from_seed(&[seed; 32]);
        let stream = connect(victim.address, [0xee, 0xee, 0xee, seed]);
        let out = Arc::new(Mutex::new(stream.try_clone().unwrap()));
        let gone = Arc::new(AtomicBool::new(false));
        let ends = Arc::new(AtomicBool::new(false));
        let (trusted, waits) = std::sync::mpsc::channel();
        let reader = std::thread::spawn({
            let (out, gone, ends, key) =
                (Arc::clone(&out), Arc::clone(&gone), Arc::clone(&ends), key.clone());
            move || {
                let reader = Reader { out: &out, key: &key, seed, trusted: &trusted, ends: &ends };
                reader.run(stream, Box::new(script));
                gone.store(true, Ordering::Relaxed);
            }
        });
        let mut eve = Self { out, key, gone, ends, reader: Some(reader) };
        eve.say(&Message::Handshake(Handshake::Ping { nonce: vec![seed; 24] }));
        waits.recv_timeout(PATIENCE).expect("the victim pings and answers");
        victim.until("eve is linked", |victim| {
            let key = eve.key().to_string();
            victim.status().iter().any(|line| line.starts_with(&format!("linked {key}")))
        });
        eve
    }

    pub(crate) fn key(&self) -> SignPublicKey {
        self.key.public()
    }

    /// Sends a message; false when the victim has closed the link.
    pub(crate) fn say(&mut self, message: &Message) -> bool {
        self.send(&message.encode().to_bytes())
    }

    /// Sends a packet of any bytes; false when the victim has closed the link.
    pub(crate) fn send(&mut self, packet: &[u8]) -> bool {
        !self.is_gone() && write(&self.out, packet)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

impl Drop for Eve {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.out.lock().unwrap().shutdown(std::net::Shutdown::Both);
        self.ends.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // Its script may be resting.
            reader.thread().unpark();
            reader.join().unwrap();
        }
    }
}

/// A connection after the exchange of the cookies.
pub(crate) fn connect(address: SocketAddr, cookie: [u8; 4]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&cookie).unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    stream
}

fn write(out: &Mutex<TcpStream>, packet: &[u8]) -> bool {
    let length = u32::try_from(packet.len()).unwrap().to_be_bytes();
    out.lock().unwrap().write_all(&[&b"tag!"[..], &length, packet].concat()).is_ok()
}

/// What reads for eve.
struct Reader<'a> {
    out: &'a Mutex<TcpStream>,
    key: &'a SignSecretKey,
    seed: u8,
    trusted: &'a std::sync::mpsc::Sender<()>,
    ends: &'a AtomicBool,
}

impl Reader<'_> {
    fn run(self, mut stream: TcpStream, mut script: Script) {
        let Self { out, key, seed, trusted, ends } = self;
        let (mut pinged, mut answered) = (false, false);
        while !ends.load(Ordering::Relaxed) {
            let mut head = [0; 8];
            if stream.read_exact(&mut head).is_err() {
                return;
            }
            let mut packet = vec![0; u32::from_be_bytes(head[4..].try_into().unwrap()) as usize];
            if stream.read_exact(&mut packet).is_err() {
                return;
            }
            let answers = match Message::decode(&Bytes::from(packet)) {
                Ok(Message::Handshake(Handshake::Ping { nonce })) => {
                    pinged = true;
                    let data = PeerData { key: key.public(), process: vec![seed; 24] };
                    let signature = key.sign(&nonce);
                    vec![Message::Handshake(Handshake::Pong { nonce, signature, data })]
                }
                Ok(Message::Handshake(Handshake::Pong { .. })) => {
                    answered = true;
                    Vec::new()
                }
                Ok(message) => script(message),
                // Greetings of the encryption: eve speaks in clear.
                Err(_) => Vec::new(),
            };
            for answer in answers {
                if !write(out, &answer.encode().to_bytes()) {
                    return;
                }
            }
            if pinged && answered {
                // Only the first is waited for.
                let _ = trusted.send(());
            }
        }
    }
}
