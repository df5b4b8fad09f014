# Compiles SOURCE without linking. With EXPECT: passes only where the compiler refuses it with a
# message that matches. Without: passes only where it compiles.
execute_process(
  COMMAND "${COMPILER}" -std=c++20 -fsyntax-only -Wall -Wextra -Werror ${OPTIONS} "-I${INCLUDE}"
          "${SOURCE}"
  RESULT_VARIABLE code
  OUTPUT_VARIABLE words
  ERROR_VARIABLE words)
if(NOT EXPECT)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "must compile, but does not: ${SOURCE}\n${words}")
  endif()
elseif(code EQUAL 0)
  message(FATAL_ERROR "must not compile, but does: ${SOURCE}")
elseif(NOT words MATCHES "${EXPECT}")
  message(FATAL_ERROR "refused for another reason than '${EXPECT}': ${SOURCE}\n${words}")
endif()
