//! Rules of access: who may, or may not, do what to which resource.

mod binding;
mod create;
mod delete;
mod describe;

pub use binding::{
    AclBinding, AclFilter, AclOperation, AclOperations, AclPatternFilter, AclPermission,
    AclResourceType, PatternType,
};
pub use create::create_acls;
pub use delete::delete_acls;
pub use describe::describe_acls;
