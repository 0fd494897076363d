package dev.postern.sdk

import dev.postern.sdk.ffi.AccountSummary as FfiAccountSummary
import dev.postern.sdk.ffi.AuthorizationRequest as FfiAuthorizationRequest
import dev.postern.sdk.ffi.FaceInfo as FfiFaceInfo
import dev.postern.sdk.ffi.Failure as FfiFailure
import dev.postern.sdk.ffi.LocalizedText as FfiLocalizedText
import dev.postern.sdk.ffi.LoginButton as FfiLoginButton
import dev.postern.sdk.ffi.PhoneInfo as FfiPhoneInfo
import dev.postern.sdk.ffi.ReadyInfo as FfiReadyInfo
import dev.postern.sdk.ffi.Refusal as FfiRefusal
import dev.postern.sdk.ffi.RegistrationInfo as FfiRegistrationInfo
import dev.postern.sdk.ffi.SessionSummary as FfiSessionSummary
import dev.postern.sdk.ffi.SmsCodeInfo as FfiSmsCodeInfo
import dev.postern.sdk.ffi.Stop as FfiStop
import dev.postern.sdk.ffi.VerificationInfo as FfiVerificationInfo

/** One text in the languages that the product speaks. */
public class LocalizedText internal constructor(
    /** Simplified Chinese. */
    public val zh: String,
    /** English. */
    public val en: String,
) {
    internal constructor(ffi: FfiLocalizedText) : this(ffi.zh, ffi.en)

    /** The text for a language tag: Chinese for `zh…`, English for every other. */
    public fun forLanguage(tag: String): String = if (tag.startsWith("zh", ignoreCase = true)) zh else en

    override fun toString(): String = "LocalizedText($en)"
}

/** A provider's button. */
public class LoginButton internal constructor(ffi: FfiLoginButton) {
    /** The provider. */
    public val provider: Provider = ffi.provider.toPublic()

    /** The button's text. */
    public val label: LocalizedText = LocalizedText(ffi.label)

    override fun toString(): String = "LoginButton($provider)"
}

/** Why the last start or answer did not lead on. The person stays where they were. */
public class Failure internal constructor(ffi: FfiFailure) {
    /** What to do about it. */
    public val kind: FailureKind = ffi.kind.toPublic()

    /** A stable word, such as `sms_code_wrong`; for analysis, not for the person. */
    public val code: String = ffi.code

    /** Seconds to wait before another try, counted from the announcement. */
    public val retryAfterSeconds: Long? = ffi.retryAfter?.toLong()

    /** The server's name for the request; for a support line. */
    public val requestId: String? = ffi.requestId

    override fun toString(): String = "Failure($kind, $code)"
}

/** The end of a login that led to no session. */
public class Stop internal constructor(ffi: FfiStop) {
    /** Why. */
    public val reason: StopReason = ffi.reason.toPublic()

    /** A stable word, as in [Failure.code]. */
    public val code: String = ffi.code

    /** Seconds to wait before another try. */
    public val retryAfterSeconds: Long? = ffi.retryAfter?.toLong()

    /** What the bank offers to somebody who declines face recognition (L5). */
    public val alternative: LocalizedText? = ffi.alternative?.let { LocalizedText(it) }

    /** The server's name for the request; for a support line. */
    public val requestId: String? = ffi.requestId

    /** Whether [StoppedStep.tryAgain] can still make the login succeed. */
    public val canTryAgain: Boolean = ffi.canTryAgain

    override fun toString(): String = "Stop($reason, $code)"
}

/** Who was asked and did not consent. A button may ask again at once, whatever it was (M4). */
public class Refusal internal constructor(ffi: FfiRefusal) {
    /** Who was asked. */
    public val provider: Provider = ffi.provider.toPublic()

    /** What happened. */
    public val kind: RefusalKind = ffi.kind.toPublic()

    /** After a denial: where the person finds what they allowed, in the provider's own app (M4). */
    public val settingsHint: LocalizedText? = ffi.settingsHint?.let { LocalizedText(it) }

    override fun toString(): String = "Refusal($provider, $kind)"
}

/** What the app hands to the provider's SDK. Adapters' tests make their own. */
public class AuthorizationRequest @JvmOverloads constructor(
    /** Whom to ask. */
    public val provider: Provider,
    /** Our app's id at the provider. */
    public val providerAppId: String,
    /** What to ask for. */
    public val scope: String,
    /** The attempt's own random value: the answer must bring it back. */
    public val state: String,
    /** Whether a new process found this attempt: the provider is not opened again; its answer may be on its way. */
    public val resumed: Boolean = false,
) {
    internal constructor(ffi: FfiAuthorizationRequest) : this(ffi.provider.toPublic(), ffi.providerAppId, ffi.scope, ffi.state, ffi.resumed)

    override fun toString(): String = "AuthorizationRequest($provider, resumed=$resumed, state=[redacted])"
}

/** A provider's answer, as its SDK gave it. */
public class ProviderReply @JvmOverloads constructor(
    /** The `state` that came back. */
    public val state: String?,
    /** The code, where the person agreed. */
    public val code: String? = null,
    /** The provider's own number for what happened. */
    public val errorCode: Int? = null,
) {
    override fun toString(): String = "ProviderReply(errorCode=$errorCode, [redacted])"
}

/** Facts of the first state. */
public class ReadyInfo internal constructor(ffi: FfiReadyInfo) {
    /** Why the last start failed. */
    public val failure: Failure? = ffi.failure?.let { Failure(it) }

    override fun toString(): String = "ReadyInfo(failure=$failure)"
}

/** Facts for asking the phone number (L4). */
public class PhoneInfo internal constructor(ffi: FfiPhoneInfo) {
    /** Why the last answer failed. */
    public val failure: Failure? = ffi.failure?.let { Failure(it) }

    /** Until the login ends, counted from the announcement. */
    public val expiresInSeconds: Long = ffi.expiresIn.toLong()

    override fun toString(): String = "PhoneInfo(failure=$failure)"
}

/** Facts for asking the SMS code (L4). */
public class SmsCodeInfo internal constructor(ffi: FfiSmsCodeInfo) {
    /** The masked number, such as `138****0000`. */
    public val sentTo: String = ffi.sentTo

    /** How many digits the code has. */
    public val digits: Int = ffi.digits.toInt()

    /** Wrong codes that are still allowed. */
    public val attemptsLeft: Int = ffi.attemptsLeft.toInt()

    /** Until another code may be asked for, counted from the announcement; 0 is now. */
    public val resendAfterSeconds: Long = ffi.resendAfter.toLong()

    /** Until the code is too old, counted from the announcement. */
    public val codeExpiresInSeconds: Long = ffi.codeExpiresIn.toLong()

    /** Why the last answer failed. */
    public val failure: Failure? = ffi.failure?.let { Failure(it) }

    /** Until the login ends, counted from the announcement. */
    public val expiresInSeconds: Long = ffi.expiresIn.toLong()

    override fun toString(): String = "SmsCodeInfo(attemptsLeft=$attemptsLeft, failure=$failure)"
}

/** Facts for proving who one is (L5, U2). */
public class VerificationInfo internal constructor(ffi: FfiVerificationInfo) {
    /** The ways that are offered. */
    public val methods: List<VerificationMethod> = ffi.methods.map { it.toPublic() }

    /** Wrong proofs that are still allowed. */
    public val attemptsLeft: Int = ffi.attemptsLeft.toInt()

    /** Why the last answer failed. */
    public val failure: Failure? = ffi.failure?.let { Failure(it) }

    /** Until the login ends, counted from the announcement. */
    public val expiresInSeconds: Long = ffi.expiresIn.toLong()

    override fun toString(): String = "VerificationInfo(methods=$methods, attemptsLeft=$attemptsLeft, failure=$failure)"
}

/** Facts for registering (L6). */
public class RegistrationInfo internal constructor(ffi: FfiRegistrationInfo) {
    /** The least number of characters of the new login password. */
    public val minLength: Int = ffi.rules.minLength.toInt()

    /** The greatest number of characters. */
    public val maxLength: Int = ffi.rules.maxLength.toInt()

    /** The least number of kinds among small letters, capital letters, digits, others. */
    public val minClasses: Int = ffi.rules.minClasses.toInt()

    /** Why the last answer failed. */
    public val failure: Failure? = ffi.failure?.let { Failure(it) }

    /** Until the login ends, counted from the announcement. */
    public val expiresInSeconds: Long = ffi.expiresIn.toLong()

    override fun toString(): String = "RegistrationInfo($minLength to $maxLength characters, failure=$failure)"
}

/** Facts for face recognition (L5, L7). */
public class FaceInfo internal constructor(ffi: FfiFaceInfo) {
    /** The face service's session. */
    public val faceSession: String = ffi.faceSession

    /** Where the face service is. */
    public val url: String = ffi.url

    /** Binds the ticket to this login. */
    public val nonce: String = ffi.nonce

    /** What the bank offers to somebody who declines; shown beside the question (L5). */
    public val alternative: LocalizedText = LocalizedText(ffi.alternative)

    /** Failed recognitions that are still allowed. */
    public val attemptsLeft: Int = ffi.attemptsLeft.toInt()

    /** Why the last answer failed. */
    public val failure: Failure? = ffi.failure?.let { Failure(it) }

    /** Until the login ends, counted from the announcement. */
    public val expiresInSeconds: Long = ffi.expiresIn.toLong()

    override fun toString(): String = "FaceInfo(attemptsLeft=$attemptsLeft, failure=$failure, [redacted])"
}

/** A provider that the account is bound to. */
public class BindingSummary internal constructor(
    /** The provider's name on the wire, such as `wechat`; a later server may send one that this version does not know. */
    public val provider: String,
    /** Seconds since 1970 UTC. */
    public val boundAtEpochSeconds: Long,
) {
    override fun toString(): String = "BindingSummary($provider)"
}

/** An account as it is shown to its owner. */
public class AccountSummary internal constructor(ffi: FfiAccountSummary) {
    /** The bank's own id of the account: the primary key for business lines (M5). */
    public val userId: String = ffi.userId

    /** How the holder was identified (L10). */
    public val identification: Identification = ffi.identification.toPublic()

    /** Such as `138****0000`. */
    public val phoneMasked: String = ffi.phoneMasked

    /** The nickname from the provider's profile, where the person allowed it (M3). */
    public val nickname: String? = ffi.nickname

    /** The picture from the provider's profile. */
    public val avatarUrl: String? = ffi.avatarUrl

    /** The providers bound to it, oldest first. */
    public val bindings: List<BindingSummary> = ffi.bindings.map { BindingSummary(it.provider, it.boundAt.toLong()) }

    override fun toString(): String = "AccountSummary($identification, [redacted])"
}

/** One of the account's sessions: a device that is logged in. */
public class SessionSummary internal constructor(ffi: FfiSessionSummary) {
    /** The session's id; no credential. */
    public val sessionId: String = ffi.sessionId

    /** Seconds since 1970 UTC. */
    public val createdAtEpochSeconds: Long = ffi.createdAt.toLong()

    /** Seconds since 1970 UTC. */
    public val lastUsedAtEpochSeconds: Long = ffi.lastUsedAt.toLong()

    /** The provider that it began with, by its name on the wire. */
    public val beganWith: String = ffi.beganWith

    /** Whether it is this device's. */
    public val isCurrent: Boolean = ffi.current

    override fun toString(): String = "SessionSummary(beganWith=$beganWith, isCurrent=$isCurrent)"
}
