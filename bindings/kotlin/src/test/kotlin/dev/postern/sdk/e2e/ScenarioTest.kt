package dev.postern.sdk.e2e

import java.io.File
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.TestFactory

/** Every scenario of the contract, one after the other: faults are everybody's. */
internal class ScenarioTest {
    @TestFactory
    fun `each scenario of the contract ends as it is described`(): List<DynamicTest> {
        val env = TestEnv.find()
        val simulator = Simulator(env)
        val scenarios = Json.parseToJsonElement(File("../../contract/scenarios.json").readText())
            .jsonObject.getValue("scenarios").jsonArray.map { it.jsonObject }
        assertTrue(scenarios.size >= 30, "the contract has its scenarios")
        return scenarios.map { scenario ->
            dynamicTest(scenario.text("name")) { runBlocking { Stage(env, simulator, scenario).play() } }
        }
    }
}
