package dev.postern.sdk.e2e

import dev.postern.sdk.AuthorizationRequest
import dev.postern.sdk.ProviderReply
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.time.Duration
import kotlinx.coroutines.delay
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.put

/** The world outside, as a test steers it (simulator/README.md). */
internal class Simulator(private val env: TestEnv) {
    private val http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()

    fun person(wish: JsonElement): JsonObject = send("POST", "${env.address("control")}/people", wish)!!.jsonObject

    fun fault(fault: JsonElement) {
        send("POST", "${env.address("control")}/faults", fault)
    }

    fun clearFaults() {
        send("DELETE", "${env.address("control")}/faults")
    }

    fun forgetRequests() {
        send("DELETE", "${env.address("control")}/requests")
    }

    /** Login requests that the gateway saw since [forgetRequests]. */
    fun loginRequests(): Int = send("GET", "${env.address("control")}/requests?party=gateway")!!.jsonObject
        .getValue("requests").jsonArray
        .map { it.jsonObject }
        .count { it.text("method") == "POST" && it.text("path") == "/v1/login" }

    fun messages(phone: String): List<JsonObject> =
        send("GET", "${env.address("sms")}/inbox/$phone")!!.jsonObject.getValue("messages").jsonArray.map { it.jsonObject }

    /** The newest code; an SMS may take a moment. */
    suspend fun newestCode(phone: String): String {
        repeat(50) {
            messages(phone).firstOrNull()?.let { return it.getValue("parameters").jsonObject.text("code") }
            delay(50)
        }
        throw AssertionError("no SMS arrived")
    }

    /** What the WeChat app answers; [decision] is agree, refuse or close. */
    fun wechatAnswers(person: JsonObject, request: AuthorizationRequest, decision: String): ProviderReply {
        val asked = buildJsonObject {
            put("appid", request.providerAppId)
            put("scope", request.scope)
            put("state", request.state)
            put("person", person.text("wechat_person"))
            put("decision", decision)
        }
        val answer = send("POST", "${env.address("wechat")}/phone/authorize", asked)!!.jsonObject
        return ProviderReply(
            state = answer["state"]?.jsonPrimitive?.contentOrNull,
            code = answer["code"]?.takeIf { it != JsonNull }?.jsonPrimitive?.content,
            errorCode = answer.getValue("errCode").jsonPrimitive.int,
        )
    }

    /** What the face SDK gives: a ticket. */
    fun facePerforms(faceSession: String, outcome: String): String {
        val url = "${env.address("face")}/phone/sessions/$faceSession/perform"
        return send("POST", url, buildJsonObject { put("outcome", outcome) })!!.jsonObject.text("ticket")
    }

    /** A request to the account center behind the SDK's back. */
    fun deleteWith(url: String, headers: Map<String, String>) {
        val request = HttpRequest.newBuilder(URI(url)).timeout(LIMIT).DELETE()
        headers.forEach { (name, value) -> request.header(name, value) }
        val status = http.send(request.build(), HttpResponse.BodyHandlers.discarding()).statusCode()
        check(status == 204) { "DELETE answered $status" }
    }

    private fun send(method: String, url: String, body: JsonElement? = null): JsonElement? {
        val publisher = body?.let { HttpRequest.BodyPublishers.ofString(it.toString()) } ?: HttpRequest.BodyPublishers.noBody()
        val request = HttpRequest.newBuilder(URI(url)).timeout(LIMIT).method(method, publisher)
        if (body != null) request.header("Content-Type", "application/json")
        val reply = http.send(request.build(), HttpResponse.BodyHandlers.ofString())
        check(reply.statusCode() in 200..299) { "$method $url answered ${reply.statusCode()}: ${reply.body()}" }
        return reply.body().takeIf { it.isNotBlank() }?.let { Json.parseToJsonElement(it) }
    }

    private companion object {
        private val LIMIT = Duration.ofSeconds(30)
    }
}
