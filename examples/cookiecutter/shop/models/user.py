import bcrypt
from sqlalchemy.orm import Mapped, mapped_column

from shop.models.meta import Base


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]

    def set_password(self, password: str) -> None:
        self.password_hash = bcrypt.hashpw(_clipped(password), bcrypt.gensalt()).decode()

    def check_password(self, password: str) -> bool:
        return bcrypt.checkpw(_clipped(password), self.password_hash.encode())


def _clipped(password: str) -> bytes:
    """bcrypt reads no more of a password, and refuses a longer one."""
    return password.encode()[:72]
