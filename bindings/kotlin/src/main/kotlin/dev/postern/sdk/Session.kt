package dev.postern.sdk

import dev.postern.sdk.ffi.AuthorizedRequest as FfiAuthorizedRequest
import dev.postern.sdk.ffi.Session as FfiSession
import dev.postern.sdk.ffi.SessionStatus as FfiSessionStatus

/** Whether somebody is logged in. */
public sealed class SessionStatus {
    /** Nobody is. */
    public object SignedOut : SessionStatus()

    /** Somebody is. The access token may have expired; it is renewed when needed. */
    public class SignedIn internal constructor(public val account: AccountSummary) : SessionStatus()

    /** The vault can't be read at the moment. It says nothing about anybody being signed out. */
    public object Unavailable : SessionStatus()

    /** Somebody was, and has to log in again. */
    public class NeedsLogin internal constructor(public val reason: NeedsLoginReason) : SessionStatus()

    override fun toString(): String = when (this) {
        SignedOut -> "SignedOut"
        is SignedIn -> "SignedIn($account)"
        Unavailable -> "Unavailable"
        is NeedsLogin -> "NeedsLogin($reason)"
    }
}

/** The session of this installation. Its tokens stay inside; requests get headers. All calls may come from any thread. */
public class Session internal constructor(private val ffi: FfiSession) {
    /** Whether somebody is logged in; reads the vault at the first call, asks no server. */
    public suspend fun status(): SessionStatus = sessionCall {
        when (val status = ffi.status()) {
            is FfiSessionStatus.SignedOut -> SessionStatus.SignedOut
            is FfiSessionStatus.SignedIn -> SessionStatus.SignedIn(AccountSummary(status.account))
            is FfiSessionStatus.Unavailable -> SessionStatus.Unavailable
            is FfiSessionStatus.NeedsLogin -> SessionStatus.NeedsLogin(status.reason.toPublic())
        }
    }

    /**
     * The headers for one request to the account center or one of [PosternConfig.apiOrigins]; renews the access token first where it is about to expire.
     *
     * [method] is in capitals, [url] is absolute. [body], where given, is bound to the proof by its hash. Most apps use [send] instead.
     */
    @JvmOverloads
    @Throws(SessionException::class, kotlin.coroutines.cancellation.CancellationException::class)
    public suspend fun authorize(method: String, url: String, body: ByteArray? = null): AuthorizedRequest =
        sessionCall { AuthorizedRequest(ffi.authorize(method, url, body)) }

    /** Renews the access token. One request for any number of callers. Seldom needed: [authorize] and [send] renew by themselves. */
    public suspend fun renew(): Unit = sessionCall { ffi.renew() }

    /**
     * Signs out: tells the account center and deletes the session from this device.
     *
     * @return whether the account center ended it too; if not, it ends there when its refresh token expires
     * @throws SessionException.Unavailable where the vault refuses to delete: sign out again later
     */
    public suspend fun signOut(): Boolean = sessionCall { ffi.signOut().serverTold }

    /**
     * Sends one request of the app's own API with the session's headers: token and proof, renewed and repeated once where the API answers 401.
     *
     * Where nobody is signed in, or the origin is not a configured one, it is sent without them (M8: a guest goes on as a guest).
     */
    public suspend fun <R> send(method: String, url: String, http: HttpCall<R>): R {
        var last = attempt(method, url, http)
        // At most one repetition for a nonce (RFC 9449 section 9), and one for a token that was not accepted.
        for (reason in listOf(Repetition.NONCE, Repetition.TOKEN)) {
            val request = last.request ?: return last.reply
            if (last.wanted != reason) continue
            if (reason == Repetition.TOKEN && !renewed(request)) return last.reply
            http.discard(last.reply)
            last = attempt(method, url, http)
        }
        return last.reply
    }

    private enum class Repetition { NONCE, TOKEN }

    private class Attempt<R>(val reply: R, val request: AuthorizedRequest?, val wanted: Repetition?)

    private suspend fun <R> attempt(method: String, url: String, http: HttpCall<R>): Attempt<R> {
        val request = try {
            authorize(method, url)
        } catch (_: SessionException.SignedOut) {
            null
        } catch (_: SessionException.NeedsLogin) {
            null
        } catch (_: SessionException.OriginNotAllowed) {
            null
        }
        val reply = http.send(request?.headers ?: emptyMap())
        if (request == null) return Attempt(reply, null, null)
        http.header(reply, "DPoP-Nonce")?.let { nonce -> sessionCall { ffi.learnNonce(url, nonce) } }
        val wanted = when {
            http.status(reply) != UNAUTHORIZED -> null
            http.header(reply, "WWW-Authenticate").orEmpty().contains("use_dpop_nonce") -> Repetition.NONCE
            else -> Repetition.TOKEN
        }
        return Attempt(reply, request, wanted)
    }

    /** Whether there is a new token. Where there is not, the API's 401 is the answer. */
    private suspend fun renewed(request: AuthorizedRequest): Boolean = try {
        request.renew()
        true
    } catch (_: SessionException) {
        false
    }

    internal fun close() {
        ffi.destroy()
    }

    override fun toString(): String = "Session([redacted])"

    private companion object {
        private const val UNAUTHORIZED = 401
    }
}

/** The app's HTTP client, as far as [Session.send] needs it. Each method may be called several times. */
public interface HttpCall<R> {
    /** Sends the request with these headers added. It must follow no redirect: the headers are for this URL alone. */
    public suspend fun send(headers: Map<String, String>): R

    /** The status of a reply. */
    public fun status(reply: R): Int

    /** A header of a reply, whatever its capitals; null where there is none. */
    public fun header(reply: R, name: String): String?

    /** Frees a reply that is not used. */
    public fun discard(reply: R) {}
}

/** The two headers of exactly one request. They are not for another method or URL, and never for the target of a redirect. */
public class AuthorizedRequest internal constructor(private val ffi: FfiAuthorizedRequest) {
    /** The headers by name: `Authorization` and `DPoP`. */
    public val headers: Map<String, String> by lazy(LazyThreadSafetyMode.PUBLICATION) {
        RedactedMap(mapOf("Authorization" to sessionCall { ffi.authorization() }, "DPoP" to sessionCall { ffi.proof() }))
    }

    /** The API answered 401: renews the access token, unless that was done since. Then [Session.authorize] again. */
    public suspend fun renew(): Unit = sessionCall { ffi.renew() }

    override fun toString(): String = "AuthorizedRequest([redacted])"
}

/** A map that does not print its values. */
private class RedactedMap(private val entriesByName: Map<String, String>) : Map<String, String> by entriesByName {
    override fun toString(): String = "[redacted]"

    override fun equals(other: Any?): Boolean = entriesByName == other

    override fun hashCode(): Int = entriesByName.hashCode()
}
