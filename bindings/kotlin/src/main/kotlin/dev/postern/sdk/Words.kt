package dev.postern.sdk

import dev.postern.sdk.ffi.FailureKind as FfiFailureKind
import dev.postern.sdk.ffi.Identification as FfiIdentification
import dev.postern.sdk.ffi.IdentityAdvice as FfiIdentityAdvice
import dev.postern.sdk.ffi.LogLevel as FfiLogLevel
import dev.postern.sdk.ffi.NeedsLoginReason as FfiNeedsLoginReason
import dev.postern.sdk.ffi.Provider as FfiProvider
import dev.postern.sdk.ffi.RefusalKind as FfiRefusalKind
import dev.postern.sdk.ffi.StopReason as FfiStopReason
import dev.postern.sdk.ffi.TransportFailure as FfiTransportFailure
import dev.postern.sdk.ffi.VerificationMethod as FfiVerificationMethod

/** Who vouches for a person. */
public enum class Provider {
    WECHAT,
    ALIPAY,
    QQ,
    WEIBO,

    /** A standard OpenID Connect issuer. */
    OIDC,
}

/** What to do about a [Failure]. */
public enum class FailureKind {
    /** The answer was wrong or not acceptable: let the person correct it. */
    ANSWER_WRONG,

    /** The SMS code is too old: offer a new one. */
    CODE_EXPIRED,

    /** Too soon or too often: wait [Failure.retryAfterSeconds], then again. */
    WAIT,

    /** No reply: offer to try again; a call that may have arrived is not carried out twice. */
    NETWORK,

    /** The account center, or something behind it, has trouble: again later. */
    SERVER_TROUBLE,

    /** The login stood elsewhere than the screen: show the present step, nothing was changed. */
    MOVED,

    /** The provider's consent could not be used: offer to authorize again, or another way to log in. */
    PROVIDER_TROUBLE,

    /** Not offered here: offer another way to log in. */
    NOT_OFFERED,

    /** The server could not prove who it is, so no secret was sent: advise another network or an update of the app. */
    UNTRUSTED,

    /** This device could not keep or sign something (locked storage): again once it is unlocked. */
    DEVICE,

    /** The account center refuses for another reason; show the way to the bank's service. */
    REFUSED,
}

/** Why a login came to an end without a session. */
public enum class StopReason {
    /** It took too long, or the server knows it no more: start over. */
    LOGIN_EXPIRED,

    /** Too many wrong answers: start over, after [Stop.retryAfterSeconds]. */
    TOO_MANY_ATTEMPTS,

    /** The phone number leads to several customers (L5): the bank has to help. */
    CUSTOMER_AMBIGUOUS,

    /** The phone number is bound to another identity of this provider (U2): change it there first. */
    PHONE_BOUND_ELSEWHERE,

    /** The provider identity is bound to another account (U3): unbind it there first. */
    IDENTITY_BOUND_ELSEWHERE,

    /** The person declined face recognition (L5): show [Stop.alternative]. */
    FACE_DECLINED,

    /** The login succeeded but this device could not keep the session: NOT logged in. Try saving again, or start over. */
    SESSION_NOT_SAVED,

    /** The account center asks something that this version of the app does not know: update the app. */
    UPDATE_NEEDED,

    /** Another reason; show the way to the bank's service. */
    REFUSED,
}

/** A way to prove who one is (L5, U2). */
public enum class VerificationMethod {
    LOGIN_PASSWORD,

    /** A registered card's number and its withdrawal password. */
    CARD,
}

/** Why there is no consent: one vocabulary for all providers. */
public enum class RefusalKind {
    /** The person said no. The only kind that is remembered (M4). */
    DENIED,

    /** The person left the page or pressed back. */
    CANCELLED,

    /** The app came to the foreground again without an answer. */
    RETURNED_WITHOUT_ANSWER,

    /** The provider's app is not installed, or too old. */
    APP_MISSING,

    /** Package, signature or scope do not match what is registered at the provider: for the developers, not for the person. */
    MISCONFIGURED,

    /** The provider failed. */
    PROVIDER_FAILED,

    /** The provider could not be reached. */
    NETWORK,
}

/** What to do before an operation that needs an identity (W8). */
public enum class IdentityAdvice {
    /** Somebody is logged in. */
    GO_ON,

    /** Nobody is logged in, and asking now would be bad manners or of no use. */
    GO_ON_AS_GUEST,

    /** Ask now. */
    ASK_NOW,
}

/** How the holder of a session was identified (L10). */
public enum class Identification {
    /** Not logged in; a virtual user id. */
    GUEST,

    /** Known at a provider, without a phone number. */
    IDENTIFIED,

    /** A phone number that is on no contract with the bank. */
    UNSIGNED,

    /** A signed customer, who passed the checks of L5 or L7. */
    SIGNED,

    /** A word that this version does not know: treat it as the least. */
    UNKNOWN,
}

/** Why a login is needed again. */
public enum class NeedsLoginReason {
    /** The session was ended at the account center. */
    SESSION_ENDED,

    /** It expired there, or the account center does not know it. */
    SESSION_EXPIRED,

    /** Its refresh token was used by somebody else; the whole family was ended. */
    REFRESH_TOKEN_REUSED,

    /** The key that protects the vault is lost (new fingerprint, restored device). */
    VAULT_KEY_LOST,

    /** The device key that the session was bound to is lost. */
    DEVICE_KEY_LOST,

    /** What was kept can't be read (truncated, written by a newer version). */
    STORED_SESSION_UNREADABLE,
}

/** How much a log message matters. */
public enum class LogLevel {
    /** A bug of the SDK; please report it. */
    ERROR,

    /** Something outside did not work; the SDK went on. */
    WARN,

    /** What happened, in few words. */
    INFO,

    /** For somebody who looks for the cause of something. */
    DEBUG,
}

/** Why a [Transport] has no reply. */
public enum class TransportFailure {
    /** Nobody could be reached; the request was surely not carried out. */
    OFFLINE,

    /** The time limit passed; the request may have been carried out. */
    TIMED_OUT,

    /** The server could not prove who it is. */
    TLS,

    /** Anything else; the request may have been carried out. */
    OTHER,
}

internal fun FfiProvider.toPublic(): Provider = when (this) {
    FfiProvider.WE_CHAT -> Provider.WECHAT
    FfiProvider.ALIPAY -> Provider.ALIPAY
    FfiProvider.QQ -> Provider.QQ
    FfiProvider.WEIBO -> Provider.WEIBO
    FfiProvider.OIDC -> Provider.OIDC
}

internal fun Provider.toFfi(): FfiProvider = when (this) {
    Provider.WECHAT -> FfiProvider.WE_CHAT
    Provider.ALIPAY -> FfiProvider.ALIPAY
    Provider.QQ -> FfiProvider.QQ
    Provider.WEIBO -> FfiProvider.WEIBO
    Provider.OIDC -> FfiProvider.OIDC
}

internal fun FfiFailureKind.toPublic(): FailureKind = when (this) {
    FfiFailureKind.ANSWER_WRONG -> FailureKind.ANSWER_WRONG
    FfiFailureKind.CODE_EXPIRED -> FailureKind.CODE_EXPIRED
    FfiFailureKind.WAIT -> FailureKind.WAIT
    FfiFailureKind.NETWORK -> FailureKind.NETWORK
    FfiFailureKind.SERVER_TROUBLE -> FailureKind.SERVER_TROUBLE
    FfiFailureKind.MOVED -> FailureKind.MOVED
    FfiFailureKind.PROVIDER_TROUBLE -> FailureKind.PROVIDER_TROUBLE
    FfiFailureKind.NOT_OFFERED -> FailureKind.NOT_OFFERED
    FfiFailureKind.UNTRUSTED -> FailureKind.UNTRUSTED
    FfiFailureKind.DEVICE -> FailureKind.DEVICE
    FfiFailureKind.REFUSED -> FailureKind.REFUSED
}

internal fun FfiStopReason.toPublic(): StopReason = when (this) {
    FfiStopReason.LOGIN_EXPIRED -> StopReason.LOGIN_EXPIRED
    FfiStopReason.TOO_MANY_ATTEMPTS -> StopReason.TOO_MANY_ATTEMPTS
    FfiStopReason.CUSTOMER_AMBIGUOUS -> StopReason.CUSTOMER_AMBIGUOUS
    FfiStopReason.PHONE_BOUND_ELSEWHERE -> StopReason.PHONE_BOUND_ELSEWHERE
    FfiStopReason.IDENTITY_BOUND_ELSEWHERE -> StopReason.IDENTITY_BOUND_ELSEWHERE
    FfiStopReason.FACE_DECLINED -> StopReason.FACE_DECLINED
    FfiStopReason.SESSION_NOT_SAVED -> StopReason.SESSION_NOT_SAVED
    FfiStopReason.UPDATE_NEEDED -> StopReason.UPDATE_NEEDED
    FfiStopReason.REFUSED -> StopReason.REFUSED
}

internal fun FfiVerificationMethod.toPublic(): VerificationMethod = when (this) {
    FfiVerificationMethod.LOGIN_PASSWORD -> VerificationMethod.LOGIN_PASSWORD
    FfiVerificationMethod.CARD -> VerificationMethod.CARD
}

internal fun FfiRefusalKind.toPublic(): RefusalKind = when (this) {
    FfiRefusalKind.DENIED -> RefusalKind.DENIED
    FfiRefusalKind.CANCELLED -> RefusalKind.CANCELLED
    FfiRefusalKind.RETURNED_WITHOUT_ANSWER -> RefusalKind.RETURNED_WITHOUT_ANSWER
    FfiRefusalKind.APP_MISSING -> RefusalKind.APP_MISSING
    FfiRefusalKind.MISCONFIGURED -> RefusalKind.MISCONFIGURED
    FfiRefusalKind.PROVIDER_FAILED -> RefusalKind.PROVIDER_FAILED
    FfiRefusalKind.NETWORK -> RefusalKind.NETWORK
}

internal fun FfiIdentityAdvice.toPublic(): IdentityAdvice = when (this) {
    FfiIdentityAdvice.GO_ON -> IdentityAdvice.GO_ON
    FfiIdentityAdvice.GO_ON_AS_GUEST -> IdentityAdvice.GO_ON_AS_GUEST
    FfiIdentityAdvice.ASK_NOW -> IdentityAdvice.ASK_NOW
}

internal fun FfiIdentification.toPublic(): Identification = when (this) {
    FfiIdentification.GUEST -> Identification.GUEST
    FfiIdentification.IDENTIFIED -> Identification.IDENTIFIED
    FfiIdentification.UNSIGNED -> Identification.UNSIGNED
    FfiIdentification.SIGNED -> Identification.SIGNED
    FfiIdentification.UNKNOWN -> Identification.UNKNOWN
}

internal fun FfiNeedsLoginReason.toPublic(): NeedsLoginReason = when (this) {
    FfiNeedsLoginReason.SESSION_ENDED -> NeedsLoginReason.SESSION_ENDED
    FfiNeedsLoginReason.SESSION_EXPIRED -> NeedsLoginReason.SESSION_EXPIRED
    FfiNeedsLoginReason.REFRESH_TOKEN_REUSED -> NeedsLoginReason.REFRESH_TOKEN_REUSED
    FfiNeedsLoginReason.VAULT_KEY_LOST -> NeedsLoginReason.VAULT_KEY_LOST
    FfiNeedsLoginReason.DEVICE_KEY_LOST -> NeedsLoginReason.DEVICE_KEY_LOST
    FfiNeedsLoginReason.STORED_SESSION_UNREADABLE -> NeedsLoginReason.STORED_SESSION_UNREADABLE
}

internal fun FfiLogLevel.toPublic(): LogLevel = when (this) {
    FfiLogLevel.ERROR -> LogLevel.ERROR
    FfiLogLevel.WARN -> LogLevel.WARN
    FfiLogLevel.INFO -> LogLevel.INFO
    FfiLogLevel.DEBUG -> LogLevel.DEBUG
}

internal fun LogLevel.toFfi(): FfiLogLevel = when (this) {
    LogLevel.ERROR -> FfiLogLevel.ERROR
    LogLevel.WARN -> FfiLogLevel.WARN
    LogLevel.INFO -> FfiLogLevel.INFO
    LogLevel.DEBUG -> FfiLogLevel.DEBUG
}

internal fun TransportFailure.toFfi(): FfiTransportFailure = when (this) {
    TransportFailure.OFFLINE -> FfiTransportFailure.OFFLINE
    TransportFailure.TIMED_OUT -> FfiTransportFailure.TIMED_OUT
    TransportFailure.TLS -> FfiTransportFailure.TLS
    TransportFailure.OTHER -> FfiTransportFailure.OTHER
}
