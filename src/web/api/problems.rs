//! Problem details, as the document describes them.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema::SchemaType};
use utoipa::{PartialSchema, ToSchema};

use crate::web::problem::Problem;

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
        let number = ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer));
        let fields = ["type", "title", "status", "detail", "code"];
        let object = ObjectBuilder::new()
            .description(Some("Why a request failed (RFC 9457)."))
            .property("type", text("about:blank: the status says what kind of problem it is."))
            .property("title", text("The status's own words."))
            .property("status", number.description(Some("The status.")))
            .property("detail", text("What failed and what to do about it, for people."))
            .property("code", text("What tells this problem from others of its status; it never changes."));
        fields.into_iter().fold(object, ObjectBuilder::required).build().into()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Problem")
    }
}
