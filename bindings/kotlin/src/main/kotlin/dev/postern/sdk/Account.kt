package dev.postern.sdk

import dev.postern.sdk.ffi.Account as FfiAccount

/** The account of who is logged in. */
public class Account internal constructor(private val ffi: FfiAccount) {
    /** The account, fresh from the account center. */
    public suspend fun summary(): AccountSummary = sessionCall { AccountSummary(ffi.summary()) }

    /** The account's sessions: the devices that are logged in. */
    public suspend fun sessions(): List<SessionSummary> = sessionCall { ffi.sessions().map { SessionSummary(it) } }

    internal fun close() {
        ffi.destroy()
    }

    override fun toString(): String = "Account"
}
