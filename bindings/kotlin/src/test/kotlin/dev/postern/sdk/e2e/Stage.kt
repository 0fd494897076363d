package dev.postern.sdk.e2e

import dev.postern.sdk.LoginState
import dev.postern.sdk.Provider
import dev.postern.sdk.SessionException
import dev.postern.sdk.SessionStatus
import dev.postern.sdk.StepException
import java.io.File
import kotlinx.coroutines.delay
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** Plays one scenario of contract/scenarios.json through the facade's public API. */
internal class Stage(private val env: TestEnv, private val simulator: Simulator, private val scenario: JsonObject) {
    private val person: JsonObject
    private val other: JsonObject?
    private val device: Device

    /** The last announced state that was expected. */
    private var state: LoginState = LoginState.Resolving

    /** Where the newest SMS went. */
    private var typedPhone: String? = null

    init {
        simulator.clearFaults()
        simulator.forgetRequests()
        person = simulator.person(scenario.getValue("person"))
        other = scenario["other"]?.let { simulator.person(it) }
        // Named by the person, who is unique: the vault is empty.
        device = Device(env, File(env.scratch, person.text("wechat_person")))
    }

    suspend fun play() {
        try {
            device.start()
            lines("before")
            simulator.forgetRequests()
            lines("steps")
            nothingMore()
            check(nameOf(state) == scenario.text("ends_in")) { "ended in ${nameOf(state)}" }
            scenario["round_trips"]?.let { wanted ->
                val counted = simulator.loginRequests()
                check(counted == wanted.jsonPrimitive.int) { "$counted round trips after the provider's answer, not $wanted" }
            }
        } finally {
            device.close()
            simulator.clearFaults()
        }
    }

    private suspend fun lines(part: String) {
        for ((index, line) in scenario[part]?.jsonArray.orEmpty().withIndex()) {
            try {
                val item = line.jsonObject
                if ("expect" in item) expect(item) else perform(item)
            } catch (thrown: Exception) {
                throw AssertionError("$part, line ${index + 1} $line: $thrown", thrown)
            }
        }
    }

    private suspend fun expect(item: JsonObject) {
        state = device.nextState()
        val facts = factsOf(state)
        check(nameOf(state) == item.text("expect")) { "announced ${nameOf(state)} $facts" }
        for ((name, value) in item["facts"]?.jsonObject.orEmpty()) {
            check(facts[name] == value) { "announced ${nameOf(state)} $facts; $name should be $value" }
        }
    }

    private fun nothingMore() {
        device.unread()?.let { throw IllegalStateException("nobody expected ${nameOf(it)} ${factsOf(it)}") }
    }

    private suspend fun perform(item: JsonObject) {
        val (name, value) = item.entries.single()
        when (name) {
            "restart" -> {
                nothingMore()
                device.start()
            }
            "fault" -> simulator.fault(value)
            "clear_faults" -> simulator.clearFaults()
            "session" -> session(value.jsonPrimitive.content)
            "sessions" -> equal(value, device.postern.account.sessions().size)
            "inbox_count" -> equal(value, simulator.messages(newestPhone()).size)
            "advice" -> {
                val advice = device.postern.requireIdentity(value.jsonObject.text("operation"))
                check(word(advice).content == value.jsonObject.text("is")) { "the advice was $advice" }
            }
            "wechat" -> wechat(value.jsonPrimitive.content)
            "invalid" -> invalid(value.jsonObject)
            else -> answer(name, value)
        }
    }

    /** The step says that the input is invalid; whoever was overtaken, or closed, is not that. */
    private suspend fun invalid(item: JsonObject) {
        val (name, value) = item.entries.single()
        try {
            answer(name, value)
        } catch (thrown: StepException) {
            val told = thrown !is StepException.Superseded && thrown !is StepException.Closed && thrown !is StepException.Internal
            check(told) { "not told to be invalid: $thrown" }
            return
        }
        throw IllegalStateException("it was taken")
    }

    private suspend fun answer(action: String, value: JsonElement) {
        val present = state
        when {
            action == "choose" && present is LoginState.Ready -> present.step.choose(provider(value))
            action == "submit_phone" && present is LoginState.PhoneNeeded -> {
                val phone = resolve(value)
                typedPhone = phone
                present.step.submit(phone)
            }
            action == "submit_code" && present is LoginState.SmsCodeNeeded -> present.step.submit(smsCode(value))
            action == "resend" && present is LoginState.SmsCodeNeeded -> present.step.resend()
            action == "change_phone" && present is LoginState.SmsCodeNeeded -> present.step.changePhone()
            action == "submit_login_password" && present is LoginState.VerificationNeeded ->
                present.step.submitLoginPassword(resolve(value))
            action == "submit_card" && present is LoginState.VerificationNeeded -> {
                val card = value.jsonObject
                present.step.submitCard(resolve(card.getValue("number")), resolve(card.getValue("withdrawal_password")))
            }
            action == "register" && present is LoginState.RegistrationNeeded -> present.step.submit(resolve(value))
            action == "face" && present is LoginState.FaceNeeded -> face(present, value.jsonPrimitive.content)
            action == "ask_again" && present is LoginState.Refused -> present.step.askAgain()
            action == "dismiss" && present is LoginState.Refused -> present.step.dismiss()
            action == "start_over" && present is LoginState.Stopped -> present.step.startOver()
            action == "cancel" -> cancel(present)
            else -> impossible(present)
        }
    }

    private suspend fun cancel(present: LoginState) {
        when (present) {
            is LoginState.Authorizing -> present.step.cancel()
            is LoginState.PhoneNeeded -> present.step.cancel()
            is LoginState.SmsCodeNeeded -> present.step.cancel()
            is LoginState.VerificationNeeded -> present.step.cancel()
            is LoginState.RegistrationNeeded -> present.step.cancel()
            is LoginState.FaceNeeded -> present.step.cancel()
            else -> impossible(present)
        }
    }

    private suspend fun face(present: LoginState.FaceNeeded, outcome: String) {
        if (outcome == "decline") present.step.decline()
        else present.step.submit(simulator.facePerforms(present.info.faceSession, outcome))
    }

    private suspend fun wechat(action: String) {
        // Round trips are counted from the provider's answer.
        simulator.forgetRequests()
        val present = state as? LoginState.Authorizing ?: impossible(state)
        when (action) {
            "none" -> return present.step.returnedWithoutAnswer()
            "missing" -> return present.step.appMissing()
            // A person reads the page first.
            "refuse" -> delay(1500)
        }
        val decision = when (action) {
            "agree", "agree_as_other" -> "agree"
            "refuse", "refuse_at_once" -> "refuse"
            "close" -> "close"
            else -> throw IllegalArgumentException("WeChat knows no $action")
        }
        val who = if (action == "agree_as_other") checkNotNull(other) { "there is nobody else" } else person
        present.step.answer(simulator.wechatAnswers(who, present.request, decision))
    }

    private suspend fun session(action: String) {
        val session = device.postern.session
        when (action) {
            "is_signed_in" -> session.status().let { check(it is SessionStatus.SignedIn) { "the session is $it" } }
            "is_signed_out" -> session.status().let {
                check(it is SessionStatus.SignedOut || it is SessionStatus.NeedsLogin) { "the session is $it" }
            }
            "renew" -> session.renew()
            "renew_refused" -> failed(session::renew).let { check(it is SessionException.NeedsLogin) { "renewing gave $it" } }
            "renew_unavailable" -> failed(session::renew).let {
                check(it is SessionException.Offline || it is SessionException.Unavailable) { "renewing gave $it" }
            }
            "sign_out" -> session.signOut()
            "account" -> device.postern.account.summary()
            "end_at_server" -> {
                val url = "${env.accountCenter}/v1/sessions/current"
                simulator.deleteWith(url, session.authorize("DELETE", url, ByteArray(0)).headers)
            }
            else -> throw IllegalArgumentException("a session knows no $action")
        }
    }

    private suspend fun failed(call: suspend () -> Unit): SessionException? = try {
        call()
        null
    } catch (thrown: SessionException) {
        thrown
    }

    private suspend fun smsCode(value: JsonElement): String {
        val text = value.jsonPrimitive.content
        if (text != "\$inbox" && text != "wrong") return text
        val right = simulator.newestCode(newestPhone())
        return if (text == "\$inbox") right else "%06d".format((right.toInt() + 1) % 1_000_000)
    }

    private fun newestPhone(): String = typedPhone ?: person.text("phone")

    private fun provider(value: JsonElement): Provider =
        Provider.entries.single { word(it).content == value.jsonPrimitive.content }

    /** `$name` stands for the person's own value, `$other.name` for the other's. */
    private fun resolve(value: JsonElement): String {
        val text = value.jsonPrimitive.content
        if (!text.startsWith("$")) return text
        val name = text.removePrefix("$")
        return if (name.startsWith("other.")) checkNotNull(other).text(name.removePrefix("other.")) else person.text(name)
    }

    private fun equal(wanted: JsonElement, counted: Int) {
        check(wanted == JsonPrimitive(counted)) { "$counted, not $wanted" }
    }

    private fun impossible(present: LoginState): Nothing = throw IllegalStateException("nobody can do that in ${nameOf(present)}")
}
