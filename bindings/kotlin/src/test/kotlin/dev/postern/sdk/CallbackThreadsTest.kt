package dev.postern.sdk

import com.sun.jna.Callback
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

internal class CallbackThreadsTest {
    @Test
    fun `every callback of the generated code runs on daemon threads`() {
        val generated = compiled("dev.postern.sdk.ffi")
            .filter { Callback::class.java.isAssignableFrom(it) && !it.isInterface }
            .map { it.name }
        assertEquals(generated.sorted(), CallbackThreads.all.flatMap { it.callbacks }.map { it.javaClass.name }.sorted())
    }
}
