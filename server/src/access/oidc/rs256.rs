//! Checks signatures for `jsonwebtoken` with `ring`, which the TLS of this program rests on as well. Only RS256, which is what GitHub and
//! GitLab sign with: what is not there cannot be chosen by a token.

use std::sync::Once;

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::ErrorKind,
    signature::{Error, Verifier},
};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    verifier_factory: |algorithm, key| {
        if *algorithm == Algorithm::RS256 && key.family() == AlgorithmFamily::Rsa {
            Ok(Box::new(Rs256(key.clone())))
        } else {
            Err(ErrorKind::InvalidAlgorithm.into())
        }
    },
    // Asked for only where keys are turned into JWKs.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes this the way signatures are checked in this process.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    // Fails where it was installed before, by whoever used this library first: nobody else here does.
    INSTALLED.call_once(|| {
        if PROVIDER.install_default().is_err() {
            tracing::error!("signatures of identity tokens are checked by another library");
        }
    });
}

struct Rs256(DecodingKey);

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let DecodingKeyKind::RsaModulusExponent { n, e } = self.0.kind() else {
            return Err(Error::new());
        };
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .map_err(|_| Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
