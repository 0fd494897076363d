package dev.postern.sdk.e2e

import dev.postern.sdk.Failure
import dev.postern.sdk.LoginState
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.JsonArray

/** The state's name in contract/scenarios.md. No else: a new state breaks the build here. */
internal fun nameOf(state: LoginState): String = when (state) {
    is LoginState.Ready -> "ready"
    is LoginState.Authorizing -> "authorizing"
    is LoginState.Refused -> "refused"
    LoginState.Resolving -> "resolving"
    is LoginState.PhoneNeeded -> "phone_needed"
    is LoginState.SmsCodeNeeded -> "sms_code_needed"
    is LoginState.VerificationNeeded -> "verification_needed"
    is LoginState.RegistrationNeeded -> "registration_needed"
    is LoginState.FaceNeeded -> "face_needed"
    is LoginState.LoggedIn -> "logged_in"
    is LoginState.Stopped -> "stopped"
}

/** The state's facts in the words of contract/scenarios.md. */
internal fun factsOf(state: LoginState): Map<String, JsonElement> = when (state) {
    is LoginState.Ready -> mapOf("failure" to code(state.info.failure))
    is LoginState.Authorizing -> mapOf(
        "provider" to word(state.request.provider),
        "provider_app_id" to JsonPrimitive(state.request.providerAppId),
        "scope" to JsonPrimitive(state.request.scope),
    )
    is LoginState.Refused -> mapOf("provider" to word(state.refusal.provider), "kind" to word(state.refusal.kind))
    LoginState.Resolving -> emptyMap()
    is LoginState.PhoneNeeded -> mapOf("failure" to code(state.info.failure))
    is LoginState.SmsCodeNeeded -> mapOf(
        "sent_to" to JsonPrimitive(state.info.sentTo),
        "digits" to JsonPrimitive(state.info.digits),
        "attempts_left" to JsonPrimitive(state.info.attemptsLeft),
        "failure" to code(state.info.failure),
    )
    is LoginState.VerificationNeeded -> mapOf(
        "methods" to JsonArray(state.info.methods.map(::word)),
        "attempts_left" to JsonPrimitive(state.info.attemptsLeft),
        "failure" to code(state.info.failure),
    )
    is LoginState.RegistrationNeeded -> mapOf(
        "min_length" to JsonPrimitive(state.info.minLength),
        "failure" to code(state.info.failure),
    )
    is LoginState.FaceNeeded -> mapOf(
        "attempts_left" to JsonPrimitive(state.info.attemptsLeft),
        "failure" to code(state.info.failure),
    )
    is LoginState.LoggedIn -> mapOf(
        "identification" to word(state.account.identification),
        "phone_masked" to JsonPrimitive(state.account.phoneMasked),
        "nickname" to JsonPrimitive(state.account.nickname),
    )
    is LoginState.Stopped -> mapOf("reason" to word(state.stop.reason), "code" to JsonPrimitive(state.stop.code))
}

/** An enum's entry as the contract spells it. */
internal fun word(entry: Enum<*>): JsonPrimitive = JsonPrimitive(entry.name.lowercase())

private fun code(failure: Failure?): JsonElement = failure?.let { JsonPrimitive(it.code) } ?: JsonNull
