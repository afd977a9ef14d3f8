//! What the words of `hbs2-cli` share: the peer, the storage and the key index, each found when it is needed first.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hbs2_core::{GroupSecret, Hash, SignPublicKey, SignSecretKey};
use hbs2_keyman::KeyIndex;
use hbs2_rpc::api::peer::PollAdd;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::groupkey::access::Opening;
use crate::keyman;
use crate::keys;
use crate::line::Options;
use crate::script::{Around, World};
use crate::store::blocks::{BATCH_BLOCKS, Blocks, Place, Purpose};
use crate::voice::Voice;

/// The world of a script.
pub struct Cli<'v> {
    /// Where it speaks.
    pub voice: &'v mut Voice,
    /// Its directory and environment.
    pub around: Around,
    /// The program as it was understood.
    pub program: String,
    options: Options,
    daemon: Option<Daemon>,
    blocks: Option<(Purpose, Arc<Blocks>)>,
    keys: Option<Rc<KeyIndex>>,
}

impl<'v> Cli<'v> {
    /// The world of this process.
    ///
    /// # Errors
    /// The directory we are in is gone.
    pub fn new(options: Options, voice: &'v mut Voice) -> Result<Self, Failure> {
        let around = Around::of_process().map_err(Failure::NoDirectory)?;
        Ok(Self { voice, around, program: String::new(), options, daemon: None, blocks: None, keys: None })
    }

    fn reach(&self) -> Reach {
        Reach::new(self.options.config.clone(), self.options.socket.clone()).within(self.options.timeout)
    }

    /// The running peer.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn daemon(&mut self) -> Result<Daemon, Failure> {
        if self.daemon.is_none() {
            self.daemon = Some(Daemon::reach(&self.reach())?);
        }
        Ok(self.daemon.clone().expect("it was found above"))
    }

    /// The socket of the running peer, if there is one.
    ///
    /// # Errors
    /// The config is broken.
    pub fn detect(&mut self) -> Result<Option<Daemon>, Failure> {
        if self.daemon.is_none() {
            self.daemon = self.reach().find()?;
        }
        Ok(self.daemon.clone())
    }

    /// The blocks: of the running peer, or of the storage when no peer runs.
    ///
    /// # Errors
    /// The storage cannot be opened.
    pub fn blocks(&mut self, purpose: Purpose) -> Result<Arc<Blocks>, Failure> {
        if let Some((opened, blocks)) = &self.blocks
            && (*opened == Purpose::Write || purpose == Purpose::Read)
        {
            return Ok(Arc::clone(blocks));
        }
        // A storage has one owner: let go before it is opened again.
        self.blocks = None;
        let place = Place::of_peer(self.options.config.clone(), self.options.socket.clone());
        let blocks = Arc::new(Blocks::open(&place, purpose, self.voice)?);
        let kept = if matches!(*blocks, Blocks::Peer(_)) { Purpose::Write } else { purpose };
        self.blocks = Some((kept, Arc::clone(&blocks)));
        Ok(blocks)
    }

    /// The key index.
    ///
    /// # Errors
    /// There is no home directory, or the index cannot be made.
    pub fn keys(&mut self) -> Result<Rc<KeyIndex>, Failure> {
        let keys = match self.keys.take() {
            Some(keys) => keys,
            None => Rc::new(keyman::index_with(self.voice.talk())?),
        };
        self.keys = Some(Rc::clone(&keys));
        Ok(keys)
    }

    /// The secret of the group key with this root, opened with the keys we hold.
    ///
    /// # Errors
    /// The group key is not here or cannot be read, or we have no access.
    pub fn group_secret(&mut self, root: &Hash) -> Result<GroupSecret, Failure> {
        let blocks = self.blocks(Purpose::Read)?;
        Opening::new(None).secret_of(*root, &blocks, self.voice)
    }

    /// The secret half of a signing key.
    ///
    /// # Errors
    /// No file that we know holds it.
    pub fn sign_secret(&mut self, key: &SignPublicKey) -> Result<SignSecretKey, Failure> {
        let found = self.keys()?.find_sign(key)?;
        Ok(found.ok_or(Failure::NoSecret { key: *key })?.secret)
    }

    /// Makes a reference: a new key in the default directory, and the peer subscribed to it. Answers the key.
    ///
    /// # Errors
    /// No peer answers, the key file cannot be written.
    pub fn create_reference(&mut self, kind: &str, minutes: u64) -> Result<SignPublicKey, Failure> {
        // First, so that no key is made for nobody.
        let daemon = self.daemon()?;
        let keyring = keys::new::generate(0)?;
        self.keys()?.add_keyring(&keyring, kind)?;
        daemon.ask::<PollAdd>(&(keyring.public(), kind.to_owned(), minutes))?;
        Ok(keyring.public())
    }

    /// Stores blocks and waits until they are safe.
    ///
    /// # Errors
    /// The storage cannot be opened or written.
    pub fn put(&mut self, all: Vec<Bytes>) -> Result<(), Failure> {
        let blocks = self.blocks(Purpose::Write)?;
        for batch in all.chunks(BATCH_BLOCKS) {
            blocks.put(batch.to_vec())?;
        }
        blocks.sync()
    }
}

impl World for Cli<'_> {
    fn voice(&mut self) -> &mut Voice {
        self.voice
    }

    fn around(&mut self) -> &mut Around {
        &mut self.around
    }
}
