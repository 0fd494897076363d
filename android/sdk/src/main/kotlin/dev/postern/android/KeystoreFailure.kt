package dev.postern.android

import android.annotation.TargetApi
import android.os.Build
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.UserNotAuthenticatedException
import java.security.UnrecoverableKeyException
import javax.crypto.AEADBadTagException

/** What a failure of the Keystore means: the difference decides whether somebody is signed out. */
internal enum class KeystoreFailure {
    /** Locked, busy, or the Keystore's service is away: what is kept is still there. */
    UNAVAILABLE,

    /** The key is gone for good: what it protected can't be had back. */
    LOST,

    ;

    internal companion object {
        /** Unknown failures count as [UNAVAILABLE]: signing somebody out needs a definite reason. */
        fun of(failure: Throwable): KeystoreFailure {
            for (cause in generateSequence(failure) { it.cause }.take(CAUSES)) {
                when {
                    cause is UserNotAuthenticatedException -> return UNAVAILABLE
                    Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU && isTransient(cause) -> return UNAVAILABLE
                    cause is KeyPermanentlyInvalidatedException -> return LOST
                    cause is UnrecoverableKeyException || cause is AEADBadTagException -> return LOST
                }
            }
            return UNAVAILABLE
        }

        @TargetApi(Build.VERSION_CODES.TIRAMISU)
        private fun isTransient(cause: Throwable): Boolean = cause is android.security.KeyStoreException && cause.isTransientFailure

        private const val CAUSES = 8
    }
}
