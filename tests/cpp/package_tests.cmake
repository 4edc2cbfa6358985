set(package_prefix ${PROJECT_BINARY_DIR}/package)
set(consumer_source ${PROJECT_SOURCE_DIR}/tests/consumer)

add_test(NAME Package.Installs
  COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR} --prefix ${package_prefix})
add_test(NAME Package.ConsumerBuildsAndTrains
  COMMAND ${CMAKE_CTEST_COMMAND} --build-and-test ${consumer_source} ${PROJECT_BINARY_DIR}/consumer
    --build-generator ${CMAKE_GENERATOR} --build-noclean
    --build-options -DCMAKE_PREFIX_PATH=${package_prefix} -DTorch_DIR=${Torch_DIR}
    --test-command ${CMAKE_CTEST_COMMAND} --output-on-failure)
add_test(NAME Package.RefusesAnotherTorch
  COMMAND ${CMAKE_COMMAND} -S ${consumer_source} -B ${PROJECT_BINARY_DIR}/consumer_wrong_torch -G ${CMAKE_GENERATOR}
    -DCMAKE_PREFIX_PATH=${package_prefix} -DTorch_DIR=${consumer_source}/wrong_torch)
add_test(NAME Package.HasNoAbsolutePath
  COMMAND grep -rnE "${PROJECT_BINARY_DIR}|${PROJECT_SOURCE_DIR}|${TORCH_INSTALL_PREFIX}"
    ${package_prefix}/lib/cmake ${package_prefix}/include)

set_tests_properties(Package.Installs PROPERTIES FIXTURES_SETUP package)
set_tests_properties(Package.ConsumerBuildsAndTrains Package.RefusesAnotherTorch Package.HasNoAbsolutePath
  PROPERTIES FIXTURES_REQUIRED package)
set_tests_properties(Package.RefusesAnotherTorch PROPERTIES
  PASS_REGULAR_EXPRESSION "built for torch ${FLOAT8_TORCH_VERSION}, found torch 2\\.99\\.0")
set_tests_properties(Package.HasNoAbsolutePath PROPERTIES WILL_FAIL TRUE)  # grep finds nothing
