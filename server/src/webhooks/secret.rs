//! What posts are signed with, as [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
//! says: `v1,` and the base64 of an HMAC-SHA256 over `id.timestamp.body`.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;
use uuid::Uuid;

/// Bytes of chance: the standard asks for 24 to 64.
const BYTES: usize = 32;
const PREFIX: &str = "whsec_";

/// A secret, as its bytes. It has no `Debug`, so that no log shows it.
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = vec![0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes that the store keeps.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The whole, to be shown once.
    pub(crate) fn reveal(&self) -> String {
        format!("{PREFIX}{}", BASE64_STANDARD.encode(&self.0))
    }

    /// The signature of a message, sent at a second since 1970.
    pub(crate) fn sign(&self, id: Uuid, unix_s: i64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut signing = hmac::Context::with_key(&key);
        signing.update(format!("{id}.{unix_s}.").as_bytes());
        signing.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(signing.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_the_standard_says() {
        let key = BASE64_STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .unwrap();
        let secret = Secret::of(key);
        assert_eq!(secret.reveal(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        // Worked out with Python's `hmac`.
        let signed = secret.sign(
            Uuid::from_u128(7),
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,DpjDiUQtqY4KpU+ttsaMN4ufTzLZ/I1uCUwqulcoqnM=");
        let other = secret.sign(
            Uuid::from_u128(7),
            1_614_265_331,
            br#"{"test": 2432232314}"#,
        );
        assert_ne!(signed, other);
    }

    #[test]
    fn each_secret_is_another() {
        let [one, other] = [(); 2].map(|()| Secret::random().unwrap().reveal());
        assert_ne!(one, other);
        assert_eq!(one.len(), PREFIX.len() + BYTES.div_ceil(3) * 4);
    }
}
