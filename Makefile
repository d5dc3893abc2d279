# make          sets up what is missing, then builds guests.yaml; afterwards: . .venv/bin/activate; doit
# make test     sets up what is missing, then checks everything
# make unit     runs the tests of single modules: some seconds
# make test-pythons runs the unit tests with each Python from 3.11 to 3.14 that is installed
# make coverage tells which lines the unit tests run; pages for a browser are in .venv/coverage
# make test-xen runs built guests under the real Xen hypervisor, in emulation: some minutes
# make test-selinux boots a Debian that enforces its SELinux policy: some minutes
# make test-power interrupts builds, deploys and resizes by power cuts, faults and kills: many minutes, better as root
# make fuzz     tries generated input for some minutes
# make setup    only sets up
# make lint     only checks style and types
# make docs     re-makes the reference in docs/ that is made from the code
# make lock     re-makes the lock file for what pyproject.toml asks; LOCK_FLAGS=--upgrade: all at their newest

PYTHON = python3
# Programs that start hundreds of times are to be compiled once.
unexport PYTHONDONTWRITEBYTECODE
PYTEST_FLAGS =
LOCK_FLAGS =

# Debian's package:a program or file in it, which is looked for on other distributions
BUILD_PACKAGES = \
    debian-archive-keyring:/usr/share/keyrings/debian-archive-keyring.gpg \
    e2fsprogs:mke2fs \
    gpg:gpg \
    mmdebstrap:mmdebstrap \
    mount:mount \
    openssh-client:ssh-keygen \
    uidmap:newuidmap \
    util-linux:mkswap
TEST_PACKAGES = \
    acl:setfacl \
    ansible-core:ansible-inventory \
    attr:setfattr \
    btrfs-progs:mkfs.btrfs \
    busybox-static:busybox \
    chromium:chromium \
    cpio:cpio \
    dnsmasq-base:dnsmasq \
    dosfstools:mkfs.vfat \
    fdisk:sfdisk \
    gcc:cc \
    gir1.2-nm-1.0:/usr/lib/x86_64-linux-gnu/girepository-1.0/NM-1.0.typelib \
    graphviz:dot \
    grub-common:grub-mkimage \
    grub-efi-amd64-bin:/usr/lib/grub/x86_64-efi/kernel.img \
    grub-pc-bin:/usr/lib/grub/i386-pc/kernel.img \
    guestfish:guestfish \
    isc-dhcp-server:dhcpd \
    libc6-dev:/usr/include/stdio.h \
    libguestfs-xfs:/usr/lib/x86_64-linux-gnu/guestfs/supermin.d/zz-packages-xfs \
    libseccomp2:/usr/lib/x86_64-linux-gnu/libseccomp.so.2 \
    libvirt-clients:virsh \
    libvirt-daemon:libvirtd \
    libvirt-daemon-driver-qemu:/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so \
    libxen-dev:/usr/include/libxlutil.h \
    libxml2-utils:xmllint \
    lvm2:lvm \
    mtools:mcopy \
    netplan.io:netplan \
    openssl:openssl \
    ovmf:/usr/share/OVMF/OVMF_CODE_4M.fd \
    policycoreutils:setfiles \
    python3-gi:/usr/lib/python3/dist-packages/gi/__init__.py \
    qemu-system-x86:qemu-system-x86_64 \
    qemu-utils:qemu-img \
    skopeo:skopeo \
    strace:strace \
    sudo:visudo \
    systemd:systemctl \
    umoci:umoci \
    whois:mkpasswd \
    xfsprogs:mkfs.xfs \
    zsh:zsh

# guestfish boots the machine's own kernel in its appliance; one that has a kernel needs no other, which GRUB might boot.
KERNELS = $(wildcard /boot/vmlinuz-*)
TEST_PACKAGES += $(if $(KERNELS),,linux-image-cloud-amd64:/lib/modules)

LOCK = requirements.lock
STAMP = .venv/set-up
PIP_INSTALL = .venv/bin/python -m pip --disable-pip-version-check install

.DELETE_ON_ERROR:
.PHONY: all setup packages test unit test-xen test-selinux test-power test-pythons coverage fuzz lint docs lock

all: setup
	.venv/bin/doit

# What takes longest comes first; tests that share what is costly to make share a process, see tests/conftest.py.
# A test that hangs ends its process, and the run: another process would begin with that test again.
test: lint
	.venv/bin/python -m pytest -n auto --no-loadscope-reorder --max-worker-restart=0 --durations=20 $(PYTEST_FLAGS)

unit: setup
	.venv/bin/python -m pytest -n auto -q -m unit $(PYTEST_FLAGS)

# The unit tests with each Python that is installed, each in a .venv of its own.
test-pythons: setup
	@for version in 3.11 3.12 3.13 3.14; do \
	    python$$version -c 'import ensurepip' 2>/dev/null || { echo "python$$version: not here"; continue; }; \
	    echo "python$$version:"; \
	    python$$version -m venv --clear .venv/pythons/$$version && \
	    .venv/pythons/$$version/bin/python -m pip --disable-pip-version-check install -q --require-hashes -r $(LOCK) && \
	    .venv/pythons/$$version/bin/python -m pip --disable-pip-version-check install -q --no-deps --no-build-isolation -e . && \
	    .venv/pythons/$$version/bin/python -m pytest -n auto -q -m unit $(PYTEST_FLAGS) || exit 1; \
	done

coverage: setup
	.venv/bin/python -m pytest -n auto -q -m unit --cov=pipeline --cov-report=term --cov-report=html:.venv/coverage $(PYTEST_FLAGS)

test-xen: setup
	.venv/bin/python -m pytest -m xen -n 0 -o faulthandler_timeout=0 $(PYTEST_FLAGS) tests/xen

test-selinux: setup
	.venv/bin/python -m pytest -m selinux -n 0 -o faulthandler_timeout=0 $(PYTEST_FLAGS) tests/boot/test_selinux.py

test-power: setup
	.venv/bin/python -m pytest -m power -n auto -o faulthandler_timeout=0 $(PYTEST_FLAGS) tests/faults tests/image/resize

fuzz: setup
	.venv/bin/python -m pytest -m hypothesis -o faulthandler_timeout=0 --hypothesis-profile=fuzz $(PYTEST_FLAGS)

lint: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy --strict

docs: setup
	.venv/bin/doit schema --markdown -o docs/guests.yaml.md

setup: $(STAMP)

packages:
	@sh setup/packages.sh $(PYTHON) $(BUILD_PACKAGES) $(if $(filter test unit test-xen test-selinux test-power fuzz coverage,$(MAKECMDGOALS)),$(TEST_PACKAGES))

# A .venv works for one Python in one place. The stamp says for which, and is there only while the .venv is whole.
export VENV_FOR := $(shell $(PYTHON) -c 'import os, sys; print(sys.version[:4], os.getcwd())' 2>/dev/null)
ifneq ($(shell test -x .venv/bin/python && cat $(STAMP) 2>/dev/null),$(VENV_FOR))
.PHONY: $(STAMP)
NEW_VENV = $(PYTHON) -m venv --clear .venv
endif

$(STAMP): $(LOCK) pyproject.toml | packages
	@rm -f $@
	$(NEW_VENV)
	$(PIP_INSTALL) --require-hashes -r $(LOCK)
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@printf '%s\n' "$$VENV_FOR" >$@

# Best made by the oldest Python that we support (PYTHON=python3.11): what suits that one suits the newer ones.
lock: | packages
	$(PYTHON) -m venv --clear .venv/lock
	.venv/lock/bin/python -m pip --disable-pip-version-check install pip-tools
	CUSTOM_COMPILE_COMMAND='make lock' .venv/lock/bin/pip-compile --quiet $(LOCK_FLAGS) --generate-hashes \
	    --all-extras --all-build-deps --allow-unsafe --strip-extras --no-emit-options \
	    --output-file $(LOCK) pyproject.toml
	rm -rf .venv/lock
