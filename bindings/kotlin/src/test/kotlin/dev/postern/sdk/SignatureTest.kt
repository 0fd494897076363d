package dev.postern.sdk

import java.lang.reflect.Modifier
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Generated Kotlin hands a destroyed object to Rust without looking, where it is an argument: freed memory is read (docs/adr/0001). */
internal class SignatureTest {
    private val generated: List<Class<*>> = compiled("dev.postern.sdk.ffi")

    /** What has a handle that can be destroyed. */
    private val objects: Set<Class<*>> = generated
        .filter { type -> type.interfaces.any { it.simpleName == "Disposable" } && !type.simpleName.endsWith("Impl") }
        .toSet()

    private fun holdsObject(type: Class<*>): Boolean =
        objects.any { it.isAssignableFrom(type) || type.isAssignableFrom(it) && type.isInterface && type.name.endsWith("Interface") }

    @Test
    fun `no exported function takes an object of ours`() {
        assertTrue(objects.size >= 15, "$objects")
        val exported = generated.filter { it.isInterface && it.simpleName.endsWith("Interface") && Modifier.isPublic(it.modifiers) }
        assertTrue(exported.size >= 12, "$exported")
        val wrong = exported.flatMap { it.methods.toList() }.filter { method -> method.parameterTypes.any(::holdsObject) }
        assertEquals(emptyList<Any>(), wrong)
        val constructors = objects.flatMap { it.declaredConstructors.toList() }.filter { it.parameterTypes.any(::holdsObject) }
        assertEquals(emptyList<Any>(), constructors)
        val functions = generated.single { it.simpleName == "PosternKt" }.declaredMethods
            .filter { !it.isSynthetic && it.name.startsWith("testing") && it.parameterTypes.any(::holdsObject) }
        assertEquals(emptyList<Any>(), functions)
    }

    @Test
    fun `no enum that carries objects calls Rust to be printed or compared`() {
        val states = generated.single { it.simpleName == "LoginState" }
        val own = (listOf(states) + states.declaredClasses).flatMap { it.declaredMethods.toList() }.map { it.name }.toSet()
        // The data classes' own are made by the compiler; uniffi would put them into the sealed class.
        val inTheParent = states.declaredMethods.map { it.name }.filter { it in setOf("toString", "equals", "hashCode", "compareTo") }
        assertEquals(emptyList<String>(), inTheParent)
        assertTrue("destroy" in own)
    }
}
