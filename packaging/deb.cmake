# The packages tranche and tranche-worker: cpack -G DEB in a build folder.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "Tranche's maintainers <tranche@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "transform large input batch by batch, and load it exactly once")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL tranche tranche-worker)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TRANCHE_PACKAGE_NAME tranche)
set(CPACK_DEBIAN_TRANCHE-WORKER_PACKAGE_NAME tranche-worker)
set(CPACK_COMPONENT_TRANCHE_DESCRIPTION "The coordinator, and everything a person types.")
set(CPACK_COMPONENT_TRANCHE-WORKER_DESCRIPTION "The worker: all that a host needs to help.")
# The coordinator starts workers of its own version. Both load libzmq themselves. libpq, libcurl and libmicrohttpd are loaded when a
# job names PostgreSQL or a request and when a server has a page, and ssh, cron and docker-compose are called.
set(CPACK_DEBIAN_TRANCHE_PACKAGE_DEPENDS "tranche-worker (= ${PROJECT_VERSION}), libzmq5, passwd")
set(CPACK_DEBIAN_TRANCHE-WORKER_PACKAGE_DEPENDS "libzmq5")
set(CPACK_DEBIAN_TRANCHE_PACKAGE_RECOMMENDS "libpq5, libmicrohttpd12")
set(CPACK_DEBIAN_TRANCHE_PACKAGE_SUGGESTS "sqlite3, openssh-client, cron | systemd")
set(CPACK_DEBIAN_TRANCHE-WORKER_PACKAGE_RECOMMENDS "libcurl4, ca-certificates, libpq5")
set(CPACK_DEBIAN_TRANCHE_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/deb/postinst)

# The programs of packages are in /usr/bin, wherever a plain install would put them.
set(BINDIR_BEFORE ${CMAKE_INSTALL_FULL_BINDIR})
set(CMAKE_INSTALL_FULL_BINDIR /usr/bin)
configure_file(packaging/tranche.service.in deb/tranche.service @ONLY)
set(CMAKE_INSTALL_FULL_BINDIR ${BINDIR_BEFORE})
install(FILES ${CMAKE_BINARY_DIR}/deb/tranche.service DESTINATION lib/systemd/system COMPONENT tranche
  EXCLUDE_FROM_ALL)
include(CPack)
