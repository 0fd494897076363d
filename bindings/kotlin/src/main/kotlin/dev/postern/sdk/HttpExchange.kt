package dev.postern.sdk

import dev.postern.sdk.ffi.HttpExchange as FfiHttpExchange

/** One request for a [Transport], and the place for its reply. It holds tokens: nothing of it may be logged. */
public class HttpExchange internal constructor(private val ffi: FfiHttpExchange) {
    /** Such as `POST`. */
    public val method: String = ffi.method()

    /** The absolute URL. */
    public val url: String = ffi.url()

    /** All headers to send besides those that HTTP itself needs; names in lower case. */
    public val headers: Map<String, String> = ffi.headers()

    /** The body's exact bytes, empty for none. They may not be changed: their hash is in the proof. */
    public val body: ByteArray = ffi.body()

    /** The reply, whatever its status (a redirect too). False where the exchange was completed already, or nobody waits for it any more. */
    public fun reply(status: Int, headers: Map<String, String>, body: ByteArray): Boolean =
        complete { ffi.reply(status.coerceIn(0, UShort.MAX_VALUE.toInt()).toUShort(), headers, body) }

    /** There is no reply. False as in [reply]. */
    public fun fail(failure: TransportFailure): Boolean = complete { ffi.fail(failure.toFfi()) }

    private inline fun complete(call: () -> Unit): Boolean = try {
        call()
        true
    } catch (_: Exception) {
        // Completed before, or the SDK was closed.
        false
    } finally {
        ffi.destroy()
    }

    override fun toString(): String = "HttpExchange($method, [redacted])"
}
