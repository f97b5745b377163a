from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.models.meta import Base

PRODUCTS = ("bread", "cheese", "wine")


class CartItem(Base):
    """A line of the cart of a session, which may have begun long before anybody signed in."""

    __tablename__ = "cart_items"
    __table_args__ = (UniqueConstraint("session_id", "product"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    product: Mapped[str]
    quantity: Mapped[int]


def add_to_cart(dbsession: Session, session_id: UUID, product: str) -> None:
    """One more of the product, counted by the database, where parallel requests meet."""
    dbsession.execute(
        insert(CartItem)
        .values(session_id=session_id, product=product, quantity=1)
        .on_conflict_do_update(
            index_elements=[CartItem.session_id, CartItem.product],
            set_={CartItem.quantity: CartItem.quantity + 1},
        )
    )
