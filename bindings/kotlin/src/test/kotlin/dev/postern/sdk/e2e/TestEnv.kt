package dev.postern.sdk.e2e

import java.io.File
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.fail
import org.junit.jupiter.api.Assumptions.abort

/** Where the servers are: the JSON file that POSTERN_TEST_ENV names (contract/scenarios.md). */
internal class TestEnv private constructor(json: JsonObject) {
    val accountCenter: String = json.text("account_center")
    val appId: String = json.text("app_id")
    val rootKey: String = json.text("root_key")
    val scratch: File = File(json.text("scratch"))
    private val parties = json.getValue("simulator").jsonObject

    fun address(party: String): String = parties.text(party)

    companion object {
        private const val NEEDED = "this test needs running servers: cargo xtask test --only kotlin"

        /** Skips the test where there are no servers; where nothing may be skipped, it fails. */
        fun find(): TestEnv {
            val file = System.getenv("POSTERN_TEST_ENV")
            if (file == null) {
                if (System.getenv("CI") == "true") fail<Nothing>(NEEDED)
                abort<Nothing>(NEEDED)
            }
            return TestEnv(Json.parseToJsonElement(File(file).readText()).jsonObject)
        }
    }
}

internal fun JsonObject.text(name: String): String = getValue(name).jsonPrimitive.content
