package dev.postern.sdk

import com.sun.jna.Callback
import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

internal class CallbackThreadsTest {
    @Test
    fun `every callback of the generated code runs on daemon threads`() {
        val folder = File(Postern::class.java.protectionDomain.codeSource.location.toURI()).resolve("dev/postern/sdk/ffi")
        val generated = folder.listFiles { file -> file.name.endsWith(".class") }!!
            .map { Class.forName("dev.postern.sdk.ffi." + it.name.removeSuffix(".class")) }
            .filter { Callback::class.java.isAssignableFrom(it) && !it.isInterface }
            .map { it.name }
        assertEquals(generated.sorted(), CallbackThreads.all.map { it.javaClass.name }.sorted())
    }
}
